// Filters that give text.
#include <array>
#include <cctype>
#include <cstdio>

#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

template <std::string (*change)(std::string_view)>
Value changed(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  const TextPtr text = soft_text(machine, input);
  return machine.text(change(text->bytes), text->markup);
}

Value filter_trim(Machine& machine, const Value& input, Args& args) {
  const auto [chars] = bind(machine, args, {"chars"});
  const TextPtr text = soft_text(machine, input);
  const auto set = given(chars) ? std::optional(text_of(machine, *chars)) : std::nullopt;
  if (set) machine.step(text->bytes.size() / 16 + set->size());
  return machine.text(std::string(strip(text->bytes, set, true, true)), text->markup);
}

Value filter_string(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  return Value(soft_text(machine, input));
}

Value filter_safe(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  return machine.text(str(machine, input), true);
}

Value filter_escape(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is_text() && input.as<TextPtr>()->markup) return input;
  return machine.text(escape_html(str(machine, input)), true);
}

Value filter_forceescape(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  return machine.text(escape_html(str(machine, input)), true);
}

Value filter_replace(Machine& machine, const Value& input, Args& args) {
  const auto [old, fresh, count] = bind(machine, args, {"old", "new", "count"});
  const Value self = machine.text(str(machine, input));
  Args inner;
  inner.positional = {machine.text(str(machine, required(machine, old, "old"))), machine.text(str(machine, required(machine, fresh, "new")))};
  if (given(count)) inner.positional.push_back(*count);
  return machine.call(text_method(machine, self, "replace"), inner);
}

Value filter_indent(Machine& machine, const Value& input, Args& args) {
  const auto [width, first, blank] = bind(machine, args, {"width", "first", "blank"});
  std::string pad = "    ";
  if (width != nullptr && width->is_text()) {
    pad = width->bytes();
  } else if (width != nullptr) {
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(whole_number(machine, *width), 0));
    machine.fits(count);
    pad = std::string(count, ' ');
  }
  std::string source = text_of(machine, input) + "\n";
  std::string out;
  bool start = true;
  for (const std::string_view line : split_lines(source, false)) {
    machine.fits(out.size() + pad.size() + line.size() + 1);
    machine.step(1 + pad.size() / 256);
    if (!start) out += '\n';
    if (start ? flag(first, false) : !line.empty() || flag(blank, false)) out += pad;
    start = false;
    out += line;
  }
  return machine.text(std::move(out), input.as<TextPtr>()->markup);
}

Value filter_center(Machine& machine, const Value& input, Args& args) {
  const auto [width] = bind(machine, args, {"width"});
  Args inner;
  inner.positional.push_back(width != nullptr ? *width : Value(std::int64_t{80}));
  return machine.call(text_method(machine, Value(soft_text(machine, input)), "center"), inner);
}

Value filter_truncate(Machine& machine, const Value& input, Args& args) {
  const auto [length, kill, ending, leeway] = bind(machine, args, {"length", "killwords", "end", "leeway"});
  const std::string end = ending != nullptr ? text_of(machine, *ending) : "...";
  const std::int64_t limit = length != nullptr ? whole_number(machine, *length) : 255, slack = given(leeway) ? whole_number(machine, *leeway) : 5;
  const auto ending_size = static_cast<std::int64_t>(count_points(end));
  if (limit < ending_size || slack < 0) machine.fail("truncate: the length is too short");
  const std::string& bytes = text_of(machine, input);
  machine.step(bytes.size() / 64);
  if (static_cast<std::int64_t>(count_points(bytes)) - slack <= limit) return input;
  std::string kept = bytes.substr(0, offset_of_point(bytes, static_cast<std::size_t>(limit - ending_size)));
  if (!flag(kill, false)) kept = kept.substr(0, kept.rfind(' '));
  return machine.text(kept + end);
}

void append_quoted(std::string& out, std::string_view bytes, bool query) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte) != 0) || std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !query)) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      std::array<char, 4> buffer{};
      std::snprintf(buffer.data(), buffer.size(), "%%%02X", static_cast<unsigned>(byte));
      out += buffer.data();
    }
  }
}

Value filter_urlencode(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  std::string out;
  if (!input.is_dict() && !input.is_list()) {
    append_quoted(out, str(machine, input), false);
    return machine.text(std::move(out));
  }
  const auto add = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    append_quoted(out, str(machine, key), true);
    out += '=';
    append_quoted(out, str(machine, value), true);
    machine.fits(out.size());
  };
  if (input.is_dict()) {
    for (const auto& [key, value] : input.as<DictPtr>()->entries) add(key, value);
  } else {
    for (const Value& pair : machine.items(input)) {
      const Values both = machine.items(pair);
      if (both.size() != 2) machine.fail("urlencode takes pairs");
      add(both[0], both[1]);
    }
  }
  return machine.text(std::move(out));
}

Value filter_join(Machine& machine, const Value& input, Args& args) {
  const auto [separator, attribute] = bind(machine, args, {"d", "attribute"});
  const std::string between = separator != nullptr ? str(machine, *separator) : "";
  std::string out;
  bool first = true;
  for (const Value& item : machine.items(input)) {
    machine.step(1 + between.size() / 256);
    if (!std::exchange(first, false)) out += between;
    out += str(machine, given(attribute) ? get_path(machine, item, *attribute) : item);
    machine.fits(out.size());
  }
  return machine.text(std::move(out));
}

Value filter_tojson(Machine& machine, const Value& input, Args& args) {
  const auto [ascii, indent, separators, sort_keys] = bind(machine, args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = flag(ascii, false);
  style.sort_keys = flag(sort_keys, false);
  if (given(indent)) {
    if (indent->is_text()) {
      style.indent = indent->bytes();
    } else {
      const auto count = static_cast<std::size_t>(std::max<std::int64_t>(whole_number(machine, *indent), 0));
      machine.fits(count);
      style.indent = std::string(count, ' ');
    }
    style.item_separator = std::string(1, ',');
  }
  if (given(separators)) {
    const Values both = machine.items(*separators);
    if (both.size() != 2) machine.fail("separators are two");
    style.item_separator = text_of(machine, both[0]);
    style.key_separator = text_of(machine, both[1]);
  }
  return machine.text(to_json(machine, input, style));
}

Value filter_format(Machine& machine, const Value& input, Args& args) {
  if (!args.positional.empty() && !args.named.empty()) machine.fail("can't handle positional and keyword arguments at the same time");
  const TextPtr text = soft_text(machine, input);
  Value values = machine.list(args.positional, ListKind::tuple);
  if (!args.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [name, value] : args.named) entries.emplace_back(machine.text(name), value);
    values = machine.dict(std::move(entries));
  }
  return machine.text(format_percent(machine, text->bytes, values), text->markup);
}

}  // namespace

const std::vector<FilterRow>& text_filters() {
  static const std::vector<FilterRow> kRows = {{"upper", changed<upper>}, {"lower", changed<lower>}, {"capitalize", changed<capitalize>},
      {"title", changed<title_filter>}, {"trim", filter_trim}, {"string", filter_string}, {"safe", filter_safe}, {"e", filter_escape},
      {"escape", filter_escape}, {"forceescape", filter_forceescape}, {"replace", filter_replace}, {"indent", filter_indent},
      {"center", filter_center}, {"truncate", filter_truncate}, {"urlencode", filter_urlencode}, {"join", filter_join},
      {"tojson", filter_tojson}, {"format", filter_format}};
  return kRows;
}

}  // namespace troupe::jinja
