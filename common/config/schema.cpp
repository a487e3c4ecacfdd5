#include "common/config/schema.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "common/config/draft_role.hpp"
#include "common/config/edit_distance.hpp"

namespace troupe {
namespace {

constexpr std::array<std::pair<std::string_view, RoleSet>, 7> kRoles{{{"gateway", kGateway},
                                                                      {"router", kRouter},
                                                                      {"prefill", kPrefill},
                                                                      {"decode", kDecode},
                                                                      {"draft", kDraft},
                                                                      {"up", kSupervisor},
                                                                      {"serve", kServing}}};

std::optional<std::size_t> index_of(const std::vector<std::string>& list, std::string_view wanted) {
  const auto at = std::find(list.begin(), list.end(), wanted);
  if (at == list.end()) return std::nullopt;
  return static_cast<std::size_t>(at - list.begin());
}

}  // namespace

Expected<RoleSet> role_set(std::string_view role) {
  std::vector<std::string> known;
  for (const auto& [name, set] : kRoles) {
    if (name == role) return set;
    known.emplace_back(name);
  }
  return fail(Errc::config_invalid, "found role \"" + std::string(role) +
                                        "\", expected serve, up, gateway, router, prefill, decode or draft" +
                                        did_you_mean(role, known));
}

std::string role_names(RoleSet roles) {
  std::string joined;
  for (const auto& [name, set] : kRoles)
    if (set != kServing && (roles & set) == set) joined.append(joined.empty() ? "" : ", ").append(name);
  return joined;
}

std::string flag_name(std::string_view option) {
  std::string flag = "--" + std::string(option);
  std::replace_if(
      flag.begin(), flag.end(), [](char c) { return c == '.' || c == '_'; }, '-');
  return flag;
}

std::string environment_name(std::string_view option) {
  std::string variable = "TROUPE_";
  for (const char c : option)
    variable.push_back(c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return variable;
}

Schema::Schema(std::vector<Option> options, std::vector<std::string> foreign_variables)
    : options_(std::move(options)), foreign_variables_(std::move(foreign_variables)) {
  for (std::size_t i = 0; i < options_.size(); ++i) {
    const Option& option = options_[i];
    names_.emplace_back(option.name);
    flags_.push_back(flag_name(option.name));
    variables_.push_back(environment_name(option.name));
    TROUPE_CHECK(find_flag(flags_.back()) == i && find_variable(variables_.back()) == i, option.name);
    auto value = parse(i, option.default_text);
    TROUPE_CHECK(value.has_value(), value ? "" : to_string(value.error()));
    defaults_.push_back(std::move(*value));
  }
}

std::optional<std::size_t> Schema::find(std::string_view name) const {
  return index_of(names_, name);
}
std::optional<std::size_t> Schema::find_flag(std::string_view flag) const {
  return index_of(flags_, flag);
}
std::optional<std::size_t> Schema::find_variable(std::string_view variable) const {
  return index_of(variables_, variable);
}
bool Schema::is_foreign_variable(std::string_view variable) const {
  return index_of(foreign_variables_, variable).has_value();
}

Expected<Value> Schema::parse(std::size_t index, std::string_view text) const {
  const Option& option = options_[index];
  auto value = parse_value(option.type, text, option.choices);
  if (!value) return fail(value.error().code, std::string(option.name) + ": " + value.error().detail);
  TROUPE_TRY(check_bounds(index, *value));
  return value;
}

Expected<void> Schema::check_bounds(std::size_t index, const Value& value) const {
  const Option& option = options_[index];
  const auto outside = [&](std::string_view bound, int bad_side) {
    if (bound.empty()) return false;
    const auto limit = parse_value(option.type, bound, option.choices);
    TROUPE_CHECK(limit.has_value(), option.name);
    return compare_values(value, *limit) == bad_side;
  };
  if (outside(option.minimum, -1) || outside(option.maximum, 1))
    return fail(Errc::config_invalid, std::string(option.name) + ": found " + format_value(value) +
                                          ", expected " + bounds_text(option));
  return {};
}

std::string bounds_text(const Option& option) {
  const std::string low(option.minimum);
  const std::string high(option.maximum);
  if (low.empty() && high.empty()) return {};
  if (high.empty()) return ">= " + low;
  if (low.empty()) return "<= " + high;
  return low + ".." + high;
}

}  // namespace troupe
