// The methods of lists, tuples and dicts that change nothing.
#include <array>
#include <algorithm>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"

namespace troupe::jinja {
namespace {

using Method = Value (*)(Machine&, const Value& self, Args& args);
using Row = std::pair<std::string_view, Method>;

Value view(Machine& machine, const Value& self, Args& args, ListKind kind) {
  bind_nothing(machine, args);
  Values out;
  for (const auto& [key, value] : self.as<DictPtr>()->entries) {
    out.push_back(kind == ListKind::keys ? key : kind == ListKind::values ? value : machine.list({key, value}, ListKind::tuple));
  }
  return machine.list(std::move(out), kind);
}

Value dict_get(Machine& machine, const Value& self, Args& args) {
  if (!args.named.empty()) machine.fail("get() takes no keyword arguments");
  const auto [key, otherwise] = bind(machine, args, {"key", "default"});
  const Value* const found = find_key(machine, *self.as<DictPtr>(), required(machine, key, "key"));
  return found != nullptr ? *found : otherwise != nullptr ? *otherwise : Value(None{});
}

constexpr auto kDict = std::to_array<Row>({
    {"keys", [](Machine& m, const Value& self, Args& args) { return view(m, self, args, ListKind::keys); }},
    {"values", [](Machine& m, const Value& self, Args& args) { return view(m, self, args, ListKind::values); }},
    {"items", [](Machine& m, const Value& self, Args& args) { return view(m, self, args, ListKind::items); }},
    {"get", dict_get},
    {"copy", [](Machine& m, const Value& self, Args& args) { return bind_nothing(m, args), self; }},
});

Value list_index(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, start, stop] = bind(machine, args, {"value", "start", "stop"});
  const Values& items = self.as<ListPtr>()->items;
  const auto size = static_cast<std::int64_t>(items.size());
  const auto clip = [&](const Value* at, std::int64_t otherwise) {
    if (at == nullptr) return otherwise;
    const std::int64_t position = whole_number(machine, *at);
    return std::clamp<std::int64_t>(position < 0 ? position + size : position, 0, size);
  };
  const Value& target = required(machine, wanted, "value");
  for (std::int64_t i = clip(start, 0); i < clip(stop, size); ++i) {
    if (equal(machine, items[static_cast<std::size_t>(i)], target)) return Value(i);
  }
  machine.fail(say({repr(machine, target), " is not in list"}));
}

Value list_count(Machine& machine, const Value& self, Args& args) {
  const auto [wanted] = bind(machine, args, {"value"});
  const Value& target = required(machine, wanted, "value");
  std::int64_t count = 0;
  for (const Value& item : self.as<ListPtr>()->items) count += equal(machine, item, target) ? 1 : 0;
  return Value(count);
}

constexpr auto kList = std::to_array<Row>({{"index", list_index}, {"count", list_count}});

}  // namespace

Value container_method(Machine& machine, const Value& self, const std::string& name) {
  if (self.is_dict()) {
    const auto* const row = std::find_if(kDict.begin(), kDict.end(), [&](const Row& known) { return known.first == name; });
    if (row == kDict.end()) return Value();
    return machine.function(name, [self, method = row->second](Machine& inside, Args& args) { return method(inside, self, args); });
  }
  if (self.as<ListPtr>()->kind == ListKind::list && name == "copy") {
    return machine.function(name, [self](Machine& inside, Args& args) { return bind_nothing(inside, args), self; });
  }
  const auto* const row = std::find_if(kList.begin(), kList.end(), [&](const Row& known) { return known.first == name; });
  if (row == kList.end() || self.as<ListPtr>()->kind > ListKind::range) return Value();
  return machine.function(name, [self, method = row->second](Machine& inside, Args& args) { return method(inside, self, args); });
}

}  // namespace troupe::jinja
