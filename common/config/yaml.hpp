#pragma once
// YAML as a plain tree (yaml-cpp wall). Bounded: file size, depth and node count; a repeated key is an error.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

struct YamlNode {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  int line = 0;                                          ///< from 1
  std::string text;                                      ///< of a scalar
  std::vector<YamlNode> items;                           ///< of a list
  std::vector<std::pair<std::string, YamlNode>> fields;  ///< of a map, in the file's order

  [[nodiscard]] const YamlNode* field(std::string_view key) const;
};

/// `name` is used in errors. Errors: config_invalid with name, line and what was found.
[[nodiscard]] Expected<YamlNode> parse_yaml(std::string_view text, std::string_view name);
/// Errors: file_not_found, and those of parse_yaml.
[[nodiscard]] Expected<YamlNode> read_yaml(const std::filesystem::path& path);

/// A scalar in double quotes where YAML would otherwise read something else.
[[nodiscard]] std::string yaml_quote(std::string_view text);

}  // namespace troupe
