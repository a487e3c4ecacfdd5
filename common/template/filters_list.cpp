// Filters over lists and dicts.
#include <algorithm>

#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

Value folded(Machine& machine, const Value& value) {
  return value.is_text() ? machine.text(lower(value.bytes()), value.as<TextPtr>()->markup) : value;
}

/// The keys to sort or compare by: the item or its attribute, without case unless asked.
Values keys_of(Machine& machine, const Values& items, const Value* attribute, const Value* case_sensitive) {
  const bool exact = flag(case_sensitive, false);
  Values keys;
  for (const Value& item : items) {
    Value key = given(attribute) ? get_path(machine, item, *attribute) : item;
    keys.push_back(exact ? std::move(key) : folded(machine, key));
  }
  return keys;
}

Value filter_first(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is_list() && input.as<ListPtr>()->kind == ListKind::iterator) {  // takes one, leaves the rest
    List& source = *input.as<ListPtr>();
    if (!source.broken.empty()) machine.fail(source.broken);
    if (source.next < source.items.size()) return source.items[source.next++];
    return machine.undefined("No first item, sequence was empty.");
  }
  const Values items = machine.items(input);
  return items.empty() ? machine.undefined("No first item, sequence was empty.") : items.front();
}

Value filter_last(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is_undefined() || (input.is_list() && input.as<ListPtr>()->kind == ListKind::iterator)) {
    machine.fail(say({"'", type_name(input), "' object is not reversible"}));
  }
  const Values items = machine.items(input);
  return items.empty() ? machine.undefined("No last item, sequence was empty.") : items.back();
}

Value filter_list(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  return machine.list(machine.items(input));
}

Value filter_items(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is_undefined()) return machine.list({}, ListKind::iterator);
  Values pairs;
  if (input.is_dict()) {
    for (const auto& [key, value] : input.as<DictPtr>()->entries) pairs.push_back(machine.list({key, value}, ListKind::tuple));
  }
  const Value made = machine.list(std::move(pairs), ListKind::iterator);
  if (!input.is_dict()) made.as<ListPtr>()->broken = "Can only get item pairs from a mapping.";
  return made;
}

Value filter_dictsort(Machine& machine, const Value& input, Args& args) {
  const auto [exact, by, reverse] = bind(machine, args, {"case_sensitive", "by", "reverse"});
  const std::string which = by != nullptr ? text_of(machine, *by) : "key";
  if (which != "key" && which != "value") machine.fail("You can only sort by either \"key\" or \"value\"");
  if (!input.is_dict()) machine.fail(say({"'", type_name(input), "' object has no attribute 'items'"}));
  Values pairs, keys;
  for (const auto& [key, value] : input.as<DictPtr>()->entries) {
    pairs.push_back(machine.list({key, value}, ListKind::tuple));
    const Value& chosen = which == "key" ? key : value;
    keys.push_back(flag(exact, false) ? chosen : folded(machine, chosen));
  }
  return machine.list(sorted(machine, pairs, keys, flag(reverse, false)));
}

Value filter_sort(Machine& machine, const Value& input, Args& args) {
  const auto [reverse, exact, attribute] = bind(machine, args, {"reverse", "case_sensitive", "attribute"});
  const Values items = machine.items(input);
  if (!given(attribute) || !attribute->is_text() || attribute->bytes().find(',') == std::string::npos) {
    return machine.list(sorted(machine, items, keys_of(machine, items, attribute, exact), flag(reverse, false)));
  }
  std::vector<Values> rows(items.size());
  std::string_view rest = attribute->bytes();
  while (true) {  // "a,b": by a, then by b
    const std::size_t comma = rest.find(',');
    const Value part = machine.text(std::string(rest.substr(0, comma)));
    Values keys = keys_of(machine, items, &part, exact);
    for (std::size_t i = 0; i < keys.size(); ++i) rows[i].push_back(std::move(keys[i]));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  Values keys;
  for (Values& row : rows) keys.push_back(machine.list(std::move(row)));
  return machine.list(sorted(machine, items, keys, flag(reverse, false)));
}

Value filter_unique(Machine& machine, const Value& input, Args& args) {
  const auto [exact, attribute] = bind(machine, args, {"case_sensitive", "attribute"});
  const Values items = machine.items(input);
  const Values keys = keys_of(machine, items, attribute, exact);
  std::unordered_map<std::string, bool> seen;
  Values out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (seen.emplace(hash_key(machine, keys[i]), true).second) out.push_back(items[i]);
  }
  return machine.list(std::move(out), ListKind::iterator);
}

Value extreme(Machine& machine, const Value& input, Args& args, bool largest) {
  const auto [exact, attribute] = bind(machine, args, {"case_sensitive", "attribute"});
  const Values items = machine.items(input);
  if (items.empty()) return machine.undefined("No aggregated item, sequence was empty.");
  const Values keys = keys_of(machine, items, attribute, exact);
  std::size_t best = 0;
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (largest ? less(machine, keys[best], keys[i]) : less(machine, keys[i], keys[best])) best = i;
  }
  return items[best];
}

Value filter_min(Machine& machine, const Value& input, Args& args) { return extreme(machine, input, args, false); }
Value filter_max(Machine& machine, const Value& input, Args& args) { return extreme(machine, input, args, true); }

Value filter_reverse(Machine& machine, const Value& input, Args& args) {
  bind_nothing(machine, args);
  if (input.is_text()) {
    std::u32string points = to_points(input.bytes());
    machine.step(points.size() / 64);
    std::reverse(points.begin(), points.end());
    return machine.text(from_points(points), input.as<TextPtr>()->markup);
  }
  const bool once = input.is_undefined() || (input.is_list() && input.as<ListPtr>()->kind == ListKind::iterator);
  Values items = machine.items(input);
  std::reverse(items.begin(), items.end());
  return machine.list(std::move(items), once ? ListKind::list : ListKind::iterator);
}

Value filter_batch(Machine& machine, const Value& input, Args& args) {
  const auto [count, fill] = bind(machine, args, {"linecount", "fill_with"});
  const std::int64_t size = whole_number(machine, required(machine, count, "linecount"));
  if (size < 1 || size > 1'000'000) machine.fail("batch: a line holds 1 to 1000000");
  Values lines, line;
  for (const Value& item : machine.items(input)) {
    if (static_cast<std::int64_t>(line.size()) == size) lines.push_back(machine.list(std::exchange(line, {})));
    line.push_back(item);
  }
  if (!line.empty()) {
    if (given(fill)) {
      machine.step(static_cast<std::size_t>(size));
      line.resize(static_cast<std::size_t>(size), *fill);
    }
    lines.push_back(machine.list(std::move(line)));
  }
  return machine.list(std::move(lines), ListKind::iterator);
}

Value filter_slice(Machine& machine, const Value& input, Args& args) {
  const auto [count, fill] = bind(machine, args, {"slices", "fill_with"});
  const std::int64_t slices = whole_number(machine, required(machine, count, "slices"));
  if (slices < 1) machine.fail("slice: at least one slice");
  machine.step(static_cast<std::size_t>(slices));
  const Values items = machine.items(input);
  const auto many = static_cast<std::size_t>(slices), each = items.size() / many, extra = items.size() % many;
  Values out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < many; ++i) {
    const std::size_t end = at + each + (i < extra ? 1 : 0);
    Values part(items.begin() + static_cast<std::ptrdiff_t>(at), items.begin() + static_cast<std::ptrdiff_t>(end));
    if (given(fill) && i >= extra) part.push_back(*fill);
    out.push_back(machine.list(std::move(part)));
    at = end;
  }
  return machine.list(std::move(out), ListKind::iterator);
}

Value filter_groupby(Machine& machine, const Value& input, Args& args) {
  const auto [attribute, otherwise, exact] = bind(machine, args, {"attribute", "default", "case_sensitive"});
  (void)required(machine, attribute, "attribute");
  const Values items = machine.items(input);
  const auto key_at = [&](const Value& item) {
    return get_path(machine, item, *attribute, otherwise);
  };
  Values keys, order;
  for (const Value& item : items) keys.push_back(flag(exact, false) ? key_at(item) : folded(machine, key_at(item)));
  for (std::size_t i = 0; i < items.size(); ++i) order.emplace_back(static_cast<std::int64_t>(i));
  Values groups, group;
  const auto close = [&] {
    if (!group.empty()) groups.push_back(machine.list({key_at(group[0]), machine.list(group)}, ListKind::tuple));
    group.clear();
  };
  std::optional<Value> current;
  for (const Value& position : sorted(machine, order, keys, false)) {
    const auto at = static_cast<std::size_t>(position.whole());
    if (!current || !equal(machine, *current, keys[at])) close();
    current = keys[at];
    group.push_back(items[at]);
  }
  close();
  return machine.list(std::move(groups));
}

}  // namespace

const std::vector<FilterRow>& list_filters() {
  static const std::vector<FilterRow> kRows = {{"first", filter_first}, {"last", filter_last}, {"list", filter_list}, {"items", filter_items},
      {"dictsort", filter_dictsort}, {"sort", filter_sort}, {"unique", filter_unique}, {"min", filter_min}, {"max", filter_max},
      {"reverse", filter_reverse}, {"batch", filter_batch}, {"slice", filter_slice}, {"groupby", filter_groupby}};
  return kRows;
}

}  // namespace troupe::jinja
