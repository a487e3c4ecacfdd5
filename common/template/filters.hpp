#pragma once
// The filters: `value | name(arguments)`.
#include <string_view>

#include "common/template/value.hpp"

namespace troupe::jinja {

using Filter = Value (*)(Machine&, const Value& input, Args& args);
/// Null when there is no such filter.
[[nodiscard]] Filter find_filter(std::string_view name);

// One row each, by subject; filters.cpp joins the tables.
struct FilterRow {
  std::string_view name;
  Filter filter;
};
[[nodiscard]] const std::vector<FilterRow>& text_filters();
[[nodiscard]] const std::vector<FilterRow>& number_filters();
[[nodiscard]] const std::vector<FilterRow>& list_filters();
[[nodiscard]] const std::vector<FilterRow>& choice_filters();

}  // namespace troupe::jinja
