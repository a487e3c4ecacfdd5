#pragma once
// The tests: `value is name(arguments)`.
#include <string_view>

#include "common/template/value.hpp"

namespace troupe::jinja {

using Test = bool (*)(Machine&, const Value& input, Args& args);
/// Null when there is no such test.
[[nodiscard]] Test find_test(std::string_view name);

}  // namespace troupe::jinja
