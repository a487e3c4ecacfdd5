// The methods of str.
#include <algorithm>
#include <array>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

using Method = Value (*)(Machine&, const Value& self, Args& args);

template <std::string (*change)(std::string_view)>
Value changed(Machine& machine, const Value& self, Args& args) {
  bind_nothing(machine, args);
  return machine.text(change(self.bytes()));
}

template <bool left, bool right>
Value stripped(Machine& machine, const Value& self, Args& args) {
  const auto [chars] = bind(machine, args, {"chars"});
  const auto set = given(chars) ? std::optional(text_of(machine, *chars)) : std::nullopt;
  if (set) machine.step(self.bytes().size() / 16 + set->size());
  return machine.text(std::string(strip(self.bytes(), set, left, right)));
}

Values split_at_space(Machine& machine, std::string_view bytes, std::size_t most, bool from_right) {
  Values parts;
  const auto cut = [&](std::size_t start, std::size_t end) { parts.push_back(machine.text(std::string(bytes.substr(start, end - start)))); };
  bytes = strip(bytes, std::nullopt, !from_right || most == SIZE_MAX, from_right || most == SIZE_MAX);
  while (!bytes.empty()) {
    machine.step();
    if (parts.size() == most) {
      const std::string_view rest = strip(bytes, std::nullopt, !from_right, from_right);
      if (!rest.empty()) parts.push_back(machine.text(std::string(rest)));
      break;
    }
    std::size_t start = 0, end = bytes.size();
    if (from_right) {
      for (std::size_t at = 0; at < bytes.size();) {
        if (is_space(next_point(bytes, at))) start = at;
      }
      cut(start, end);
      bytes = strip(bytes.substr(0, start), std::nullopt, false, true);
    } else {
      for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t here = at;
        if (!is_space(next_point(bytes, at))) continue;
        end = here;
        break;
      }
      cut(0, end);
      bytes = strip(bytes.substr(end), std::nullopt, true, false);
    }
    if (from_right) machine.step(bytes.size() / 16);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

Values split_at(Machine& machine, std::string_view bytes, std::string_view separator, std::size_t most, bool from_right) {
  Values parts;
  while (parts.size() < most) {
    machine.step(from_right ? 1 + bytes.size() / 64 : 1);
    const std::size_t at = from_right ? rfind_bytes(bytes, separator) : find_bytes(bytes, separator, 0);
    if (at == std::string_view::npos) break;
    const std::string_view part = from_right ? bytes.substr(at + separator.size()) : bytes.substr(0, at);
    parts.push_back(machine.text(std::string(part)));
    bytes = from_right ? bytes.substr(0, at) : bytes.substr(at + separator.size());
  }
  parts.push_back(machine.text(std::string(bytes)));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split(Machine& machine, const Value& self, Args& args) {
  const auto [separator, count] = bind(machine, args, {"sep", "maxsplit"});
  const std::int64_t limit = count != nullptr ? whole_number(machine, *count) : -1;
  const std::size_t most = limit < 0 ? SIZE_MAX : static_cast<std::size_t>(limit);
  if (!given(separator)) return machine.list(split_at_space(machine, self.bytes(), most, from_right));
  const std::string& between = text_of(machine, *separator);
  if (between.empty()) machine.fail("empty separator");
  return machine.list(split_at(machine, self.bytes(), between, most, from_right));
}

template <bool from_right>
Value partition(Machine& machine, const Value& self, Args& args) {
  const auto [separator] = bind(machine, args, {"sep"});
  const std::string& between = text_of(machine, required(machine, separator, "sep"));
  if (between.empty()) machine.fail("empty separator");
  const std::string& bytes = self.bytes();
  const std::size_t at = from_right ? rfind_bytes(bytes, between) : find_bytes(bytes, between, 0);
  const Value none = machine.text({});
  if (at == std::string::npos) {
    return machine.list(from_right ? Values{none, none, self} : Values{self, none, none}, ListKind::tuple);
  }
  return machine.list({machine.text(bytes.substr(0, at)), *separator, machine.text(bytes.substr(at + between.size()))}, ListKind::tuple);
}

Value splitlines(Machine& machine, const Value& self, Args& args) {
  const auto [keep] = bind(machine, args, {"keepends"});
  Values lines;
  for (const std::string_view line : split_lines(self.bytes(), flag(keep, false))) {
    machine.step();
    lines.push_back(machine.text(std::string(line)));
  }
  return machine.list(std::move(lines));
}

/// The part of the text that start and stop leave, and where it begins in bytes; nothing when start lies beyond the end.
struct Part {
  std::string_view bytes;
  std::size_t offset = 0;
  bool valid = true;
};

Part part_of(Machine& machine, const Value& self, const Value* start, const Value* stop) {
  const std::string_view bytes = self.bytes();
  if (!given(start) && !given(stop)) return {bytes, 0, true};
  machine.step(bytes.size() / 64);
  const auto size = static_cast<std::int64_t>(count_points(bytes));
  const auto clip = [&](const Value* at, std::int64_t otherwise) {
    if (!given(at)) return otherwise;
    const std::int64_t position = whole_number(machine, *at);
    return position < 0 ? std::max<std::int64_t>(position + size, 0) : position;
  };
  const std::int64_t from = clip(start, 0), to = std::min(clip(stop, size), size);
  if (from > to) return {{}, 0, false};
  const std::size_t first = offset_of_point(bytes, static_cast<std::size_t>(from));
  return {bytes.substr(first, offset_of_point(bytes, static_cast<std::size_t>(to)) - first), first, true};
}

template <bool at_end>
Value matches(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, start, stop] = bind(machine, args, {"prefix", "start", "end"});
  const Part part = part_of(machine, self, start, stop);
  const auto fits = [&](const Value& value) {
    const std::string& affix = text_of(machine, value);
    return part.valid && (at_end ? part.bytes.ends_with(affix) : part.bytes.starts_with(affix));
  };
  const Value& affix = required(machine, wanted, "prefix");
  if (!affix.is_list() || affix.as<ListPtr>()->kind != ListKind::tuple) return Value(fits(affix));
  for (const Value& one : affix.as<ListPtr>()->items) {
    if (fits(one)) return Value(true);
  }
  return Value(false);
}

template <bool from_right, bool must>
Value find(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, start, stop] = bind(machine, args, {"sub", "start", "end"});
  const Part part = part_of(machine, self, start, stop);
  const std::string& sub = text_of(machine, required(machine, wanted, "sub"));
  machine.step(self.bytes().size() / 64);
  const std::size_t at = !part.valid ? std::string_view::npos : from_right ? rfind_bytes(part.bytes, sub) : find_bytes(part.bytes, sub, 0);
  if (at != std::string_view::npos) {
    return Value(static_cast<std::int64_t>(count_points(std::string_view(self.bytes()).substr(0, part.offset + at))));
  }
  if (must) machine.fail("substring not found");
  return Value(std::int64_t{-1});
}

Value count(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, start, stop] = bind(machine, args, {"sub", "start", "end"});
  const Part part = part_of(machine, self, start, stop);
  const std::string& sub = text_of(machine, required(machine, wanted, "sub"));
  if (sub.empty()) return Value(part.valid ? static_cast<std::int64_t>(count_points(part.bytes)) + 1 : std::int64_t{0});
  std::int64_t found = 0;
  for (std::size_t at = 0; (at = find_bytes(part.bytes, sub, at)) != std::string_view::npos; at += sub.size()) ++found;
  machine.step(part.bytes.size() / 64);
  return Value(found);
}

Value replace(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, with, limit] = bind(machine, args, {"old", "new", "count"});
  const std::string &old = text_of(machine, required(machine, wanted, "old")), &fresh = text_of(machine, required(machine, with, "new"));
  const std::int64_t most = limit != nullptr ? whole_number(machine, *limit) : -1;
  std::size_t left = most < 0 ? SIZE_MAX : static_cast<std::size_t>(most);
  const std::string& bytes = self.bytes();
  std::string out;
  std::size_t at = 0;
  const auto put = [&](std::string_view kept, std::string_view then) {
    machine.fits(out.size() + kept.size() + then.size());
    out += kept;
    out += then;
  };
  if (old.empty()) {  // between all code points
    for (; left > 0; --left) {
      machine.step();
      const std::size_t start = at;
      put({}, fresh);
      if (at >= bytes.size()) return machine.text(std::move(out));
      (void)next_point(bytes, at);
      put(std::string_view(bytes).substr(start, at - start), {});
    }
  } else {
    for (std::size_t next = 0; left > 0 && (next = find_bytes(bytes, old, at)) != std::string::npos; --left, at = next + old.size()) {
      put(std::string_view(bytes).substr(at, next - at), fresh);
    }
  }
  put(std::string_view(bytes).substr(at), {});
  return machine.text(std::move(out));
}

Value join(Machine& machine, const Value& self, Args& args) {
  const auto [iterable] = bind(machine, args, {"iterable"});
  std::string out;
  bool first = true;
  for (const Value& item : machine.items(required(machine, iterable, "iterable"))) {
    machine.step(1 + self.bytes().size() / 256);
    if (!std::exchange(first, false)) out += self.bytes();
    out += text_of(machine, item);
    machine.fits(out.size());
  }
  return machine.text(std::move(out));
}

template <bool at_end>
Value without_affix(Machine& machine, const Value& self, Args& args) {
  const auto [wanted] = bind(machine, args, {"affix"});
  const std::string &affix = text_of(machine, required(machine, wanted, "affix")), &bytes = self.bytes();
  if (at_end) return bytes.ends_with(affix) ? machine.text(bytes.substr(0, bytes.size() - affix.size())) : self;
  return bytes.starts_with(affix) ? machine.text(bytes.substr(affix.size())) : self;
}

/// How much padding goes left of the text, of `missing`.
template <std::size_t (*left_part)(std::size_t missing, std::size_t width)>
Value justified(Machine& machine, const Value& self, Args& args) {
  const auto [wanted, fill] = bind(machine, args, {"width", "fillchar"});
  const std::int64_t width = whole_number(machine, required(machine, wanted, "width"));
  const std::string pad = fill != nullptr ? text_of(machine, *fill) : " ";
  if (count_points(pad) != 1) machine.fail("the fill character must be exactly one character long");
  const auto size = static_cast<std::int64_t>(count_points(self.bytes()));
  if (width <= size) return self;
  if (width > INT32_MAX) machine.fail("the width is too large");
  const auto missing = static_cast<std::size_t>(width - size), left = left_part(missing, static_cast<std::size_t>(width));
  machine.grow(missing * pad.size() + self.bytes().size());
  std::string out;
  for (std::size_t i = 0; i < left; ++i) out += pad;
  out += self.bytes();
  for (std::size_t i = left; i < missing; ++i) out += pad;
  return machine.text(std::move(out));
}

std::size_t left_none(std::size_t, std::size_t) { return 0; }
std::size_t left_all(std::size_t missing, std::size_t) { return missing; }
std::size_t left_half(std::size_t missing, std::size_t width) { return missing / 2 + (missing & width & 1); }

Value zfill(Machine& machine, const Value& self, Args& args) {
  const auto [wanted] = bind(machine, args, {"width"});
  const std::int64_t width = whole_number(machine, required(machine, wanted, "width"));
  const auto size = static_cast<std::int64_t>(count_points(self.bytes()));
  if (width <= size) return self;
  if (width > INT32_MAX) machine.fail("the width is too large");
  machine.grow(static_cast<std::size_t>(width));
  std::string out = self.bytes();
  out.insert(!out.empty() && (out[0] == '-' || out[0] == '+') ? 1 : 0, static_cast<std::size_t>(width - size), '0');
  return machine.text(std::move(out));
}

template <bool (*fits)(char32_t)>
Value every(Machine& machine, const Value& self, Args& args) {
  bind_nothing(machine, args);
  const std::string& bytes = self.bytes();
  for (std::size_t at = 0; at < bytes.size();) {
    if (!fits(next_point(bytes, at))) return Value(false);
  }
  return Value(!bytes.empty());
}

template <bool upper_wanted>
Value cased(Machine& machine, const Value& self, Args& args) {
  bind_nothing(machine, args);
  bool any = false;
  const std::string& bytes = self.bytes();
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    const bool high = is_upper(point), low = is_lower(point);
    if (upper_wanted ? low && !high : high) return Value(false);
    any = any || high || low;
  }
  return Value(any);
}

Value istitle(Machine& machine, const Value& self, Args& args) {
  bind_nothing(machine, args);
  const std::string& bytes = self.bytes();
  const bool any = std::any_of(bytes.begin(), bytes.end(), [](char c) { return is_alpha(static_cast<unsigned char>(c)); });
  return Value(any && title_method(bytes) == bytes);
}

Value format_map(Machine& machine, const Value& self, Args& args) {
  const auto [mapping] = bind(machine, args, {"mapping"});
  if (!required(machine, mapping, "mapping").is_dict()) machine.fail("format_map() takes a mapping");
  Args named;
  for (const auto& [key, value] : mapping->as<DictPtr>()->entries) {
    if (key.is_text()) named.named.emplace_back(key.bytes(), value);
  }
  return machine.text(format_braces(machine, self.bytes(), named));
}

using Row = std::pair<std::string_view, Method>;
constexpr auto kMethods = std::to_array<Row>({
    {"strip", stripped<true, true>}, {"lstrip", stripped<true, false>}, {"rstrip", stripped<false, true>},
    {"split", split<false>}, {"rsplit", split<true>}, {"splitlines", splitlines},
    {"partition", partition<false>}, {"rpartition", partition<true>},
    {"startswith", matches<false>}, {"endswith", matches<true>},
    {"find", find<false, false>}, {"rfind", find<true, false>}, {"index", find<false, true>}, {"rindex", find<true, true>},
    {"count", count}, {"replace", replace}, {"join", join},
    {"removeprefix", without_affix<false>}, {"removesuffix", without_affix<true>},
    {"upper", changed<upper>}, {"lower", changed<lower>}, {"casefold", changed<lower>}, {"title", changed<title_method>},
    {"capitalize", changed<capitalize>}, {"swapcase", changed<swap_case>},
    {"ljust", justified<left_none>}, {"rjust", justified<left_all>}, {"center", justified<left_half>}, {"zfill", zfill},
    {"isdigit", every<is_digit>}, {"isdecimal", every<is_digit>}, {"isnumeric", every<is_digit>}, {"isspace", every<is_space>},
    {"isalpha", every<is_alpha>},
    {"isalnum", every<[](char32_t point) { return is_alpha(point) || is_digit(point); }>},
    {"isupper", cased<true>}, {"islower", cased<false>}, {"istitle", istitle},
    {"format", [](Machine& m, const Value& self, Args& args) { return m.text(format_braces(m, self.bytes(), args)); }},
    {"format_map", format_map},
});

}  // namespace

Value text_method(Machine& machine, const Value& self, const std::string& name) {
  const auto* const row = std::find_if(kMethods.begin(), kMethods.end(), [&](const Row& known) { return known.first == name; });
  if (row == kMethods.end()) return Value();
  return machine.function(name, [self, method = row->second](Machine& inside, Args& args) -> Value {
    inside.step(self.bytes().size() / 64);
    Value result = method(inside, self, args);
    const bool lost = self.as<TextPtr>()->markup && result.is_text() && !result.as<TextPtr>()->markup;
    return lost ? inside.text(result.bytes(), true) : result;
  });
}

}  // namespace troupe::jinja
