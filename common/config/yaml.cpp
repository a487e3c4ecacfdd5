#include "common/config/yaml.hpp"

#include <cctype>
#include <fstream>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

namespace troupe {
namespace {

constexpr std::size_t kLargestFile = 1U << 20;
constexpr int kDeepest = 16;
constexpr std::size_t kMostNodes = 20'000;  // aliases are expanded, so a small file could name a huge tree

struct Converter {
  std::string_view name;
  std::size_t nodes = 0;

  [[nodiscard]] tl::unexpected<Error> error(int line, std::string_view what) const {
    return fail(Errc::config_invalid,
                std::string(name) + ":" + std::to_string(line) + ": " + std::string(what));
  }

  Expected<YamlNode> convert(const YAML::Node& from, int depth) {
    const int line = from.Mark().line + 1;
    if (depth > kDeepest) return error(line, "nested deeper than " + std::to_string(kDeepest) + " levels");
    if (++nodes > kMostNodes) return error(line, "more than " + std::to_string(kMostNodes) + " values");
    YamlNode to;
    to.line = line;
    switch (from.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return to;
      case YAML::NodeType::Scalar:
        to.kind = YamlNode::Kind::scalar;
        to.text = from.Scalar();
        return to;
      case YAML::NodeType::Sequence:
        TROUPE_TRY(convert_list(from, to, depth));
        return to;
      case YAML::NodeType::Map:
        TROUPE_TRY(convert_map(from, to, depth));
        return to;
    }
    return error(line, "a YAML node of an unknown kind");
  }

  Expected<void> convert_list(const YAML::Node& from, YamlNode& to, int depth) {
    to.kind = YamlNode::Kind::list;
    for (const auto& item : from) {
      auto child = convert(item, depth + 1);
      if (!child) return tl::unexpected<Error>(std::move(child.error()));
      to.items.push_back(std::move(*child));
    }
    return {};
  }

  Expected<void> convert_map(const YAML::Node& from, YamlNode& to, int depth) {
    to.kind = YamlNode::Kind::map;
    for (const auto& entry : from) {
      const int line = entry.first.Mark().line + 1;
      if (!entry.first.IsScalar()) return error(line, "a key that is not a word");
      std::string key = entry.first.Scalar();
      if (to.field(key) != nullptr) return error(line, "\"" + key + "\" is given twice");
      auto child = convert(entry.second, depth + 1);
      if (!child) return tl::unexpected<Error>(std::move(child.error()));
      to.fields.emplace_back(std::move(key), std::move(*child));
    }
    return {};
  }
};

}  // namespace

const YamlNode* YamlNode::field(std::string_view key) const {
  for (const auto& [name, node] : fields)
    if (name == key) return &node;
  return nullptr;
}

Expected<YamlNode> parse_yaml(std::string_view text, std::string_view name) {
  Converter converter{name};
  if (text.size() > kLargestFile)
    return converter.error(1, "found " + std::to_string(text.size()) + " bytes, expected at most " +
                                  std::to_string(kLargestFile));
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return YamlNode{};
    if (documents.size() > 1)
      return converter.error(documents[1].Mark().line + 1, "a second document, expected one");
    return converter.convert(documents.front(), 0);
  } catch (const YAML::Exception& e) {
    return converter.error(e.mark.line + 1, "not YAML: " + e.msg);
  }
}

Expected<YamlNode> read_yaml(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored))
    return fail(Errc::file_not_found, path.string() + ": cannot be opened");
  std::string text(kLargestFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return parse_yaml(text, path.string());
}

std::string yaml_quote(std::string_view text) {
  bool plain = !text.empty() && std::isalnum(static_cast<unsigned char>(text.front())) != 0;
  for (const char c : text)
    plain = plain && (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view("._/-+=").find(c) != std::string_view::npos);
  if (plain) return std::string(text);
  return nlohmann::json(text).dump(-1, ' ', false,
                                   nlohmann::json::error_handler_t::replace);  // a JSON string is a YAML one
}

}  // namespace troupe
