#include "common/template/value.hpp"

#include "common/template/machine.hpp"

namespace troupe::jinja {

std::string_view type_name(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<std::int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.is_text()) return "str";
  if (value.is_dict()) return "dict";
  if (value.is<NamespacePtr>()) return "Namespace";
  if (value.is<LoopPtr>()) return "LoopContext";
  if (value.is<CallablePtr>()) return "function";
  switch (value.as<ListPtr>()->kind) {
    case ListKind::list: return "list";
    case ListKind::tuple: return "tuple";
    case ListKind::range: return "range";
    case ListKind::keys: return "dict_keys";
    case ListKind::values: return "dict_values";
    case ListKind::items: return "dict_items";
    case ListKind::iterator: return "generator";
  }
  return "object";
}

bool truthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is<bool>()) return value.as<bool>();
  if (value.is<std::int64_t>()) return value.as<std::int64_t>() != 0;
  if (value.is<double>()) return value.as<double>() != 0;
  if (value.is_text()) return !value.bytes().empty();
  if (value.is_dict()) return !value.as<DictPtr>()->entries.empty();
  if (value.is_list()) return value.as<ListPtr>()->kind == ListKind::iterator || !value.as<ListPtr>()->items.empty();
  return true;
}

}  // namespace troupe::jinja
