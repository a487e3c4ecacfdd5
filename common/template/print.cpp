// str() and repr().
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

class Printer {
 public:
  explicit Printer(Machine& machine) : machine_(machine) {}

  void print(const Value& value) {
    const Machine::Deeper deeper(machine_);
    machine_.step();
    const std::size_t before = out.size();
    print_any(value);
    machine_.fits(out.size());
    if (value.is_text()) machine_.grow(out.size() - before);
  }

  std::string out;

 private:
  void print_any(const Value& value) {
    if (value.is_undefined()) {
      out += "Undefined";
    } else if (value.is_none()) {
      out += "None";
    } else if (value.is<bool>()) {
      out += value.as<bool>() ? "True" : "False";
    } else if (value.is<std::int64_t>()) {
      out += std::to_string(value.as<std::int64_t>());
    } else if (value.is<double>()) {
      out += float_repr(value.as<double>());
    } else if (value.is_text()) {
      const Text& text = *value.as<TextPtr>();
      out += text.markup ? say({"Markup(", quote_repr(text.bytes), ")"}) : quote_repr(text.bytes);
    } else if (value.is_list()) {
      print_list(*value.as<ListPtr>());
    } else if (value.is_dict()) {
      print_dict(*value.as<DictPtr>());
    } else if (value.is<NamespacePtr>()) {
      print_namespace(*value.as<NamespacePtr>());
    } else if (value.is<LoopPtr>()) {
      Loop& loop = *value.as<LoopPtr>();
      out += "<LoopContext " + std::to_string(loop.index0 + 1) + "/" + std::to_string(loop.length()) + ">";
    } else {
      const Callable& callable = *value.as<CallablePtr>();
      out += callable.macro ? say({"<Macro ", quote_repr(callable.name), ">"}) : say({"<function ", callable.name, ">"});
    }
  }

  void print_items(const Values& items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      print(items[i]);
    }
  }

  void print_list(const List& list) {
    switch (list.kind) {
      case ListKind::range: out += list.spelling; return;
      case ListKind::iterator: out += "<generator object>"; return;
      case ListKind::tuple:
        out += '(';
        print_items(list.items);
        out += list.items.size() == 1 ? ",)" : ")";
        return;
      default: break;
    }
    const bool view = list.kind != ListKind::list;
    if (view) out += list.kind == ListKind::keys ? "dict_keys(" : list.kind == ListKind::values ? "dict_values(" : "dict_items(";
    out += '[';
    print_items(list.items);
    out += view ? "])" : "]";
  }

  void print_dict(const Dict& dict) {
    out += '{';
    for (std::size_t i = 0; i < dict.entries.size(); ++i) {
      if (i > 0) out += ", ";
      print(dict.entries[i].first);
      out += ": ";
      print(dict.entries[i].second);
    }
    out += '}';
  }

  void print_namespace(const Namespace& space) {
    out += "<Namespace {";
    bool first = true;
    for (const auto& [name, value] : space.attributes) {
      if (!std::exchange(first, false)) out += ", ";
      out += quote_repr(name) + ": ";
      print(value);
    }
    out += "}>";
  }

  Machine& machine_;
};

}  // namespace

std::string repr(Machine& machine, const Value& value) {
  Printer printer(machine);
  printer.print(value);
  return std::move(printer.out);
}

std::string str(Machine& machine, const Value& value) {
  if (value.is_undefined()) return {};
  if (!value.is_text()) return repr(machine, value);
  machine.grow(value.bytes().size());
  return value.bytes();
}

TextPtr soft_text(Machine& machine, const Value& value) {
  if (value.is_text()) return value.as<TextPtr>();
  return std::make_shared<const Text>(Text{str(machine, value), false});
}

}  // namespace troupe::jinja
