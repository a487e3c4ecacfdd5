#pragma once
// A Config for people and machines: commented YAML that loads back, JSON for /config, and help text.
#include <string>

#include "common/config/config.hpp"
#include "common/config/draft_role.hpp"

namespace troupe {

/// YAML with every option of `roles`: help, unit, bounds, default and where the value came from as comments.
/// Loading it again gives the same values.
[[nodiscard]] std::string dump_yaml(const Config& config, RoleSet roles = kAnyRole);

/// {"http.port": {"value": 8080, "text": "8080", "origin": "flag", "place": "--http-port"}, ...}
[[nodiscard]] std::string dump_json(const Config& config, RoleSet roles = kAnyRole);

/// One entry per option: flag, type, default, bounds, help; and how variables and the file follow from them.
[[nodiscard]] std::string help_text(const Schema& schema, RoleSet roles = kAnyRole);
/// The entries alone, for a tool whose schema is of flags only.
[[nodiscard]] std::string help_text_of_flags(const Schema& schema, RoleSet roles = kAnyRole);

[[nodiscard]] std::string_view name(Origin origin);

}  // namespace troupe
