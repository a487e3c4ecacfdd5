#pragma once
// How builtin functions read their arguments.
#include <array>
#include <string>

#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {

/// The arguments by parameter name, null where absent; unknown, repeated and surplus ones fail.
template <std::size_t N>
[[nodiscard]] std::array<const Value*, N> bind(Machine& machine, const Args& args, const char* const (&names)[N]) {
  std::array<const Value*, N> bound{};
  if (args.positional.size() > N) machine.fail(say({"takes at most ", std::to_string(N), " arguments, got ", std::to_string(args.positional.size())}));
  for (std::size_t i = 0; i < args.positional.size(); ++i) bound[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    std::size_t at = 0;
    while (at < N && name != names[at]) ++at;
    if (at == N) machine.fail(say({"unexpected keyword argument '", name, "'"}));
    if (bound[at] != nullptr) machine.fail(say({"two values for the argument '", name, "'"}));
    bound[at] = &value;
  }
  return bound;
}

inline void bind_nothing(Machine& machine, const Args& args) {
  if (!args.positional.empty() || !args.named.empty()) machine.fail("takes no arguments");
}

[[nodiscard]] const Value& required(Machine& machine, const Value* value, const char* name);
[[nodiscard]] std::int64_t whole_number(Machine& machine, const Value& value);   ///< an int or a bool
[[nodiscard]] const std::string& text_of(Machine& machine, const Value& value);  ///< a str
[[nodiscard]] inline bool flag(const Value* value, bool otherwise) { return value == nullptr ? otherwise : truthy(*value); }
[[nodiscard]] inline bool given(const Value* value) { return value != nullptr && !value->is_none(); }

}  // namespace troupe::jinja
