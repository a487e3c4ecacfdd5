// default, attr, and the filters that apply another filter or a test to every item. Those are generators in Python: what goes wrong in them shows
// only when somebody takes an item.
#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/tests.hpp"

namespace troupe::jinja {
namespace {

Value filter_default(Machine& machine, const Value& input, Args& args) {
  const auto [otherwise, boolean] = bind(machine, args, {"default_value", "boolean"});
  if (!input.is_undefined() && !(flag(boolean, false) && !truthy(input))) return input;
  return otherwise != nullptr ? *otherwise : machine.text({});
}

Value filter_attr(Machine& machine, const Value& input, Args& args) {
  const auto [name] = bind(machine, args, {"name"});
  const std::string& wanted = text_of(machine, required(machine, name, "name"));
  if (input.is_dict()) {  // the filter sees attributes only, never keys
    Value method = container_method(machine, input, wanted);
    return method.is_undefined() ? machine.undefined(say({"'dict' object has no attribute '", wanted, "'"})) : method;
  }
  return get_attribute(machine, input, wanted);
}

template <class Choose>
Value generated(Machine& machine, const Value& input, Choose choose) {
  const Value made = machine.list({}, ListKind::iterator);
  List& list = *made.as<ListPtr>();
  if (!truthy(input)) return made;
  Values out;
  try {
    for (const Value& item : machine.items(input)) {
      if (auto chosen = choose(item)) out.push_back(std::move(*chosen));
    }
  } catch (const Fault& fault) {
    machine.step();  // a spent budget is a fault at once
    list.broken = fault.reason;
    return made;
  }
  return machine.list(std::move(out), ListKind::iterator);
}

Value filter_map(Machine& machine, const Value& input, Args& args) {
  if (args.positional.empty()) {
    const auto [attribute, otherwise] = bind(machine, args, {"attribute", "default"});
    const Value path = required(machine, attribute, "attribute");
    return generated(machine, input, [&](const Value& item) -> std::optional<Value> {
      return get_path(machine, item, path, otherwise);
    });
  }
  Args rest;
  rest.positional.assign(args.positional.begin() + 1, args.positional.end());
  rest.named = args.named;
  const Value name = args.positional[0];
  return generated(machine, input, [&](const Value& item) -> std::optional<Value> {
    const Filter filter = find_filter(text_of(machine, name));
    if (filter == nullptr) machine.fail(say({"no filter is named '", name.bytes(), "'"}));
    Args inner = rest;
    return filter(machine, item, inner);
  });
}

template <bool wanted, bool by_attribute>
Value choose(Machine& machine, const Value& input, Args& args) {
  return generated(machine, input, [&](const Value& item) -> std::optional<Value> {
    constexpr std::size_t kSkip = by_attribute ? 1 : 0;
    if (args.positional.size() < kSkip) machine.fail("Missing parameter for attribute name");
    const Value subject = by_attribute ? get_path(machine, item, args.positional[0]) : item;
    if (args.positional.size() == kSkip) return truthy(subject) == wanted ? std::optional(item) : std::nullopt;
    const std::string& name = text_of(machine, args.positional[kSkip]);
    const Test test = find_test(name);
    if (test == nullptr) machine.fail(say({"no test is named '", name, "'"}));
    Args inner;
    inner.positional.assign(args.positional.begin() + kSkip + 1, args.positional.end());
    inner.named = args.named;
    return test(machine, subject, inner) == wanted ? std::optional(item) : std::nullopt;
  });
}

}  // namespace

const std::vector<FilterRow>& choice_filters() {
  static const std::vector<FilterRow> kRows = {{"default", filter_default}, {"d", filter_default}, {"attr", filter_attr}, {"map", filter_map},
      {"select", choose<true, false>}, {"reject", choose<false, false>}, {"selectattr", choose<true, true>}, {"rejectattr", choose<false, true>}};
  return kRows;
}

}  // namespace troupe::jinja
