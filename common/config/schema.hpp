#pragma once
// One declaration per option: flag, environment variable, YAML key, type, unit, default, bounds, help and the
// roles that use it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/config/value.hpp"

namespace troupe {

/// What a process can be; a RoleSet is a sum of them. `serve` is all four serving roles in one process.
using RoleSet = std::uint8_t;
inline constexpr RoleSet kGateway = 1, kRouter = 2, kPrefill = 4, kDecode = 8, kSupervisor = 16;
inline constexpr RoleSet kWorkers = kPrefill | kDecode;
inline constexpr RoleSet kServing = kGateway | kRouter | kWorkers;
inline constexpr RoleSet kEveryRole = kServing | kSupervisor;

/// "gateway", "router", "prefill", "decode", "serve", "up". Errors: config_invalid naming the known ones.
[[nodiscard]] Expected<RoleSet> role_set(std::string_view role);
/// "prefill, decode"
[[nodiscard]] std::string role_names(RoleSet roles);

struct Option {
  std::string_view name;  ///< "http.port": flag --http-port, variable TROUPE_HTTP_PORT, YAML `http: {port: }`
  OptionType type = OptionType::text;
  std::string_view default_text;  ///< as a user would write it
  RoleSet roles = kEveryRole;
  std::string_view help = {};     ///< one or two sentences
  std::string_view unit = {};     ///< "rows", "tokens"; bytes and durations carry theirs in the value
  std::string_view minimum = {};  ///< inclusive; "" for none
  std::string_view maximum = {};
  std::vector<std::string_view> choices = {};
  bool secret = false;  ///< never shown, and handed to other processes by environment only
  /// A running process takes a changed value over (LiveConfig), by way of services/cli/role_options.cpp.
  bool reloadable = false;
};

/// The mark of a row.
[[nodiscard]] inline Option reloadable(Option option) {
  option.reloadable = true;
  return option;
}

[[nodiscard]] std::string flag_name(std::string_view option);         ///< "--http-port"
[[nodiscard]] std::string environment_name(std::string_view option);  ///< "TROUPE_HTTP_PORT"

/// A checked list of options. Threads: immutable after construction.
class Schema {
 public:
  /// Ends the process when a name repeats, two names share a flag, or a default or bound does not parse:
  /// programmer's faults. `foreign_variables` are TROUPE_* variables that belong to someone else and are let
  /// pass.
  explicit Schema(std::vector<Option> options, std::vector<std::string> foreign_variables = {});

  [[nodiscard]] const std::vector<Option>& options() const { return options_; }
  [[nodiscard]] const Value& default_value(std::size_t index) const { return defaults_[index]; }

  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
  [[nodiscard]] std::optional<std::size_t> find_flag(std::string_view flag) const;  ///< with its dashes
  [[nodiscard]] std::optional<std::size_t> find_variable(std::string_view variable) const;  ///< with TROUPE_
  [[nodiscard]] bool is_foreign_variable(std::string_view variable) const;

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const std::vector<std::string>& flags() const { return flags_; }
  [[nodiscard]] const std::vector<std::string>& variables() const { return variables_; }

  /// Parses and checks the bounds. Errors: config_invalid naming the option, what was found and expected.
  [[nodiscard]] Expected<Value> parse(std::size_t index, std::string_view text) const;
  [[nodiscard]] Expected<void> check_bounds(std::size_t index, const Value& value) const;

 private:
  std::vector<Option> options_;
  std::vector<Value> defaults_;
  std::vector<std::string> names_, flags_, variables_, foreign_variables_;
};

/// "1..65535", ">= 1", "" when there are none.
[[nodiscard]] std::string bounds_text(const Option& option);

}  // namespace troupe
