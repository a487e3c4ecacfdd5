// What stands behind a dot or in brackets. As in Python's sandbox, what would change a list or a dict is not there.
#include <algorithm>
#include <array>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

[[noreturn]] void fail_undefined(Machine& machine, const Value& value) {
  const auto& reason = value.as<Undefined>().reason;
  machine.fail(reason ? *reason : "the value is undefined");
}

bool changes(const Value& object, std::string_view name) {
  static constexpr std::array<std::string_view, 8> kList = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  static constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault", "update"};
  if (object.is_dict()) return std::find(kDict.begin(), kDict.end(), name) != kDict.end();
  return object.is_list() && object.as<ListPtr>()->kind == ListKind::list && std::find(kList.begin(), kList.end(), name) != kList.end();
}

/// What Python's getattr() finds, methods above all; undefined without a reason when there is nothing.
Value own_attribute(Machine& machine, const Value& object, const std::string& name) {
  if (changes(object, name)) {
    return machine.undefined(say({"access to attribute '", name, "' of '", type_name(object), "' object is unsafe"}));
  }
  if (object.is_text()) return text_method(machine, object, name);
  if (object.is_dict() || object.is_list()) return container_method(machine, object, name);
  if (object.is<LoopPtr>()) return loop_attribute(machine, object.as<LoopPtr>(), name);
  if (object.is<CallablePtr>() && object.as<CallablePtr>()->macro && name == "name") return machine.text(object.as<CallablePtr>()->name);
  if (object.is<NamespacePtr>()) {
    machine.step(object.as<NamespacePtr>()->attributes.size() / 16);
    for (const auto& [known, value] : object.as<NamespacePtr>()->attributes) {
      if (known == name) return value;
    }
  }
  return Value();
}

Value missing(Machine& machine, const Value& object, const std::string& name) {
  return machine.undefined(say({"'", type_name(object), "' object has no attribute '", name, "'"}));
}

Value at_position(Machine& machine, const Value& object, std::int64_t index) {
  const std::string none = say({"'", type_name(object), "' object has no element ", std::to_string(index)});
  if (object.is_text()) {
    const std::string& bytes = object.bytes();
    machine.step(bytes.size() / 64);
    const auto size = static_cast<std::int64_t>(count_points(bytes));
    const std::int64_t at = index < 0 ? index + size : index;
    if (at < 0 || at >= size) return machine.undefined(none);
    const std::size_t start = offset_of_point(bytes, static_cast<std::size_t>(at));
    std::size_t end = start;
    (void)next_point(bytes, end);
    return machine.text(bytes.substr(start, end - start));
  }
  const List& list = *object.as<ListPtr>();
  const auto size = static_cast<std::int64_t>(list.items.size());
  const std::int64_t at = index < 0 ? index + size : index;
  if (list.kind > ListKind::range || at < 0 || at >= size) return machine.undefined(none);
  return list.items[static_cast<std::size_t>(at)];
}

bool hashable(const Value& value) { return !value.is_dict() && !(value.is_list() && value.as<ListPtr>()->kind != ListKind::tuple); }

}  // namespace

const Value* find_key(Machine& machine, const Dict& dict, const Value& key) {
  machine.step(key.is_text() ? 1 + key.bytes().size() / 64 : 1);
  if (!dict.index.empty()) {
    const auto row = dict.index.find(hash_key(machine, key));
    return row == dict.index.end() ? nullptr : &dict.entries[row->second].second;
  }
  if (!key.is_text()) (void)hash_key(machine, key);
  for (const auto& [known, value] : dict.entries) {
    if (known.is_text() && key.is_text() ? known.bytes() == key.bytes() : equal(machine, known, key)) return &value;
  }
  return nullptr;
}

Value get_attribute(Machine& machine, const Value& object, const std::string& name) {
  if (object.is_undefined()) fail_undefined(machine, object);
  Value own = own_attribute(machine, object, name);
  if (!own.is_undefined() || own.as<Undefined>().reason) return own;
  if (object.is_dict()) {
    const Dict& dict = *object.as<DictPtr>();
    if (dict.index.empty()) {  // no need to make a key
      machine.step();
      for (const auto& [known, value] : dict.entries) {
        if (known.is_text() && known.bytes() == name) return value;
      }
    } else if (const Value* const found = find_key(machine, dict, machine.text(name))) {
      return *found;
    }
  }
  return missing(machine, object, name);
}

Value get_item(Machine& machine, const Value& object, const Value& key) {
  if (object.is_undefined()) fail_undefined(machine, object);
  if (object.is_dict() && hashable(key)) {
    if (const Value* const found = find_key(machine, *object.as<DictPtr>(), key)) return *found;
  }
  if (key.is_whole() && (object.is_text() || object.is_list())) return at_position(machine, object, key.whole());
  if (!key.is_text()) {
    return machine.undefined(say({"'", type_name(object), "' object has no element ", repr(machine, key)}));
  }
  Value own = own_attribute(machine, object, key.bytes());
  if (!own.is_undefined() || own.as<Undefined>().reason) return own;
  return missing(machine, object, key.bytes());
}

Value get_path(Machine& machine, const Value& object, const Value& path, const Value* otherwise) {
  const auto step = [&](const Value& from, const Value& key) {
    Value found = get_item(machine, from, key);
    return found.is_undefined() && given(otherwise) ? *otherwise : found;
  };
  if (!path.is_text()) return step(object, path);
  Value at = object;
  std::string_view rest = path.bytes();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const bool number = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto index = number ? parse_integer(part, 10) : std::nullopt;
    at = step(at, index ? Value(*index) : machine.text(part));
    if (dot == std::string_view::npos) return at;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace troupe::jinja
