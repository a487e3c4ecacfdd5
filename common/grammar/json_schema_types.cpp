// Strings, numbers, arrays and objects of a schema.
#include <algorithm>
#include <array>
#include <cmath>

#include "common/grammar/json_formats.hpp"
#include "common/grammar/json_numbers.hpp"
#include "common/grammar/json_schema.hpp"

namespace troupe::grammar {
namespace {

constexpr std::size_t kMostKeyBytes = 256;

tl::unexpected<Error> refuse(const std::string& pointer, const std::string& what) {
  return fail(Errc::invalid_argument, pointer + ": " + what);
}

/// A count such as minItems.
Expected<std::uint32_t> count(const Json& schema, const char* keyword, std::uint32_t otherwise,
                              const std::string& pointer) {
  const auto at = schema.find(keyword);
  if (at == schema.end()) return otherwise;
  const bool whole = at->is_number_unsigned() || (at->is_number_float() && *at >= 0 &&
                                                  at->get<double>() == std::floor(at->get<double>()));
  if (!whole || *at >= kNoLimit) return refuse(pointer + "/" + keyword, "expected a count");
  return at->get<std::uint32_t>();
}

Expected<std::optional<NumberBound>> bound(const Json& schema, const char* closed, const char* open, bool low,
                                           const std::string& pointer) {
  std::optional<NumberBound> out;
  double value = 0;
  for (const char* keyword : {closed, open}) {
    const auto at = schema.find(keyword);
    if (at == schema.end()) continue;
    if (!at->is_number()) return refuse(pointer + "/" + keyword, "expected a number");
    auto decimal = parse_decimal(at->dump());
    if (!decimal)
      return refuse(pointer + "/" + keyword, "expected at most 15 digits before and 16 behind the point");
    const bool is_open = keyword == open;
    const auto number = at->get<double>();
    const bool tighter = !out || (low ? number > value : number < value) || (number == value && is_open);
    if (!tighter) continue;
    out = NumberBound{std::move(*decimal), is_open};
    value = number;
  }
  return out;
}

}  // namespace

Expected<Expr> SchemaCompiler::string(const Json& given, const Place& place) {
  const auto format = given.find("format"), pattern_text = given.find("pattern");
  if (pattern_text != given.end()) {
    if (!pattern_text->is_string()) return refuse(place.at("pattern").pointer, "expected a string");
    if (format != given.end())
      return refuse(place.at("format").pointer, "'format' beside 'pattern' is not supported");
    return pattern(pattern_text->get_ref<const std::string&>(), given, place.at("pattern"));
  }
  if (format != given.end()) {
    const char* known = format->is_string() ? find_format(format->get_ref<const std::string&>()) : nullptr;
    if (known == nullptr)
      return refuse(place.at("format").pointer,
                    "unsupported format " + format->dump() + "; known: " + known_formats());
    return pattern(known, given, place.at("format"));
  }
  const auto least = count(given, "minLength", 0, place.pointer);
  TROUPE_TRY(least);
  const auto most = count(given, "maxLength", kNoLimit, place.pointer);
  TROUPE_TRY(most);
  if (*least > *most) return builder_.nothing();
  if (*least > limits_.states || (*most != kNoLimit && *most > limits_.states))
    return refuse(place.pointer,
                  "strings of more than " + std::to_string(limits_.states) + " characters cannot be counted");
  return text_.string(*least, *most);
}

Expected<Expr> SchemaCompiler::pattern(std::string_view text, const Json& given, const Place& place) {
  RegexOptions options;
  options.spell = &JsonText::spell;
  options.anywhere = true;
  options.nesting = limits_.nesting;
  auto regex = parse_regex(builder_, text, options);
  if (!regex) return refuse(place.pointer, regex.error().detail);
  const auto least = count(given, "minLength", 0, place.pointer);
  TROUPE_TRY(least);
  const auto most = count(given, "maxLength", kNoLimit, place.pointer);
  TROUPE_TRY(most);
  if (regex->shortest < *least || (*most != kNoLimit && regex->longest > *most))
    return refuse(place.pointer, "minLength and maxLength beside it must allow all its lengths, " +
                                     std::to_string(regex->shortest) + " to " +
                                     (regex->longest == kNoLimit ? "any" : std::to_string(regex->longest)));
  return text_.quoted(regex->expr);
}

Expected<Expr> SchemaCompiler::number(const Json& given, bool whole, const Place& place) {
  if (const auto multiple = given.find("multipleOf"); multiple != given.end() && !(whole && *multiple == 1))
    return refuse(place.at("multipleOf").pointer, "unsupported keyword 'multipleOf'");
  const auto low = bound(given, "minimum", "exclusiveMinimum", true, place.pointer);
  TROUPE_TRY(low);
  const auto high = bound(given, "maximum", "exclusiveMaximum", false, place.pointer);
  TROUPE_TRY(high);
  if (!*low && !*high) return whole ? text_.integer() : text_.number();
  return whole ? integers_between(builder_, *low, *high) : numbers_between(builder_, *low, *high);
}

/// "[" first, more, ... "]": built from the end, so that what may be left out is one nested option.
Expected<Expr> SchemaCompiler::array(const Json& given, const Place& place) {
  const auto least = count(given, "minItems", 0, place.pointer);
  TROUPE_TRY(least);
  const auto most = count(given, "maxItems", kNoLimit, place.pointer);
  TROUPE_TRY(most);
  static const Json kNone = Json::array();
  const auto prefix_at = given.find("prefixItems");
  const Json& prefix = prefix_at == given.end() ? kNone : *prefix_at;
  if (!prefix.is_array()) return refuse(place.at("prefixItems").pointer, "expected a list of schemas");
  if (*least > *most) return builder_.nothing();
  const auto fixed = static_cast<std::uint32_t>(prefix.size());

  const auto items = given.find("items");
  auto item = items == given.end() ? Expected<Expr>(text_.any_value()) : schema(*items, place.at("items"));
  if (!item) return item;
  const Expr one = builder_.named("item", *item);
  const auto separated = [&](Expr element, bool first) {
    return first ? element : builder_.sequence({builder_.literal(","), text_.space(), element});
  };
  // Behind `fixed` elements: from the least to the most there may still be.
  const std::uint32_t still_least = *least > fixed ? *least - fixed : 0;
  const std::uint32_t still_most = *most == kNoLimit ? kNoLimit : *most > fixed ? *most - fixed : 0;
  Expr tail = builder_.empty();
  if (*item == builder_.nothing()) {
    if (still_least > 0) tail = builder_.nothing();
  } else if (fixed > 0) {
    tail = builder_.repeat(separated(one, false), still_least, still_most);
  } else if (still_most > 0) {
    const Expr more = builder_.repeat(separated(one, false), still_least > 0 ? still_least - 1 : 0,
                                      still_most == kNoLimit ? kNoLimit : still_most - 1);
    const Expr some = builder_.sequence({one, more});
    tail = still_least == 0 ? builder_.optional(some) : some;
  }
  for (std::uint32_t i = fixed; i-- > 0;) {
    auto element = schema(prefix[i], place.at("prefixItems").at(i));
    if (!element) return element;
    if (i >= *most) {
      tail = builder_.empty();
      continue;
    }
    const Expr whole = builder_.sequence({separated(*element, i == 0), builder_.named("tail", tail)});
    tail = i >= *least ? builder_.optional(whole) : whole;
  }
  return builder_.sequence(
      {builder_.literal("["), text_.space(), tail, text_.space(), builder_.literal("]")});
}

Expected<Expr> SchemaCompiler::object(const Json& given, const Place& place) {
  static const Json kNone = Json::object();
  const auto properties_at = given.find("properties"), required_at = given.find("required"),
             further_at = given.find("additionalProperties");
  const Json& properties = properties_at == given.end() ? kNone : *properties_at;
  if (!properties.is_object()) return refuse(place.at("properties").pointer, "expected an object of schemas");
  std::set<std::string> required;
  if (required_at != given.end()) {
    if (!required_at->is_array()) return refuse(place.at("required").pointer, "expected a list of names");
    for (const Json& name : *required_at) {
      if (!name.is_string()) return refuse(place.at("required").pointer, "expected a list of names");
      required.insert(name.get<std::string>());
    }
  }
  const bool open = further_at == given.end() ? properties.empty() : *further_at != false;
  const Json further = further_at == given.end() ? Json(true) : *further_at;
  if (open && properties.empty() && required.empty() && further == true) return text_.any_object();

  struct Member {
    Expr expr;
    bool required;
  };
  std::vector<Member> members;
  std::set<std::string> names;
  const auto add = [&](const std::string& name, const Json& value, const Place& where) -> Expected<void> {
    if (name.size() > kMostKeyBytes)
      return refuse(where.pointer, "names of more than 256 bytes are not supported");
    auto expr = schema(value, where);
    TROUPE_TRY(expr);
    const bool needed = required.contains(name);
    names.insert(name);
    if (*expr == builder_.nothing() && !needed) return {};
    members.push_back({builder_.named("member", text_.member(text_.value(Json(name)), *expr)), needed});
    return {};
  };
  for (const auto& [name, value] : properties.items())
    TROUPE_TRY(add(name, value, place.at("properties").at(name)));
  for (const std::string& name : required) {
    if (names.contains(name)) continue;
    if (!open && further_at != given.end())
      return refuse(place.at("required").pointer, "'" + name + "' is required and not among the properties");
    TROUPE_TRY(add(name, open ? further : Json(true), place.at("required")));
  }

  const auto behind = [&](Expr member) {
    return builder_.sequence({builder_.literal(","), text_.space(), member});
  };
  // What may follow when nothing is written yet, and when something is.
  Expr first = builder_.empty(), later = builder_.empty();
  if (open) {
    auto value = schema(further, place.at("additionalProperties"));
    TROUPE_TRY(value);
    const Expr extra = builder_.named("extra", text_.member(text_.other_key(names), *value));
    later = builder_.repeat(behind(extra), 0, kNoLimit);
    first = builder_.optional(builder_.sequence({extra, later}));
  }
  for (std::size_t i = members.size(); i-- > 0;) {
    const Expr rest = builder_.named("rest", later);
    const Expr here = builder_.sequence({members[i].expr, rest});
    later = behind(here);
    if (!members[i].required) later = builder_.choice({rest, later});
    const Expr skipped = members[i].required ? builder_.nothing() : first;
    first =
        builder_.choice({here, skipped == builder_.nothing() ? skipped : builder_.named("rest", skipped)});
  }
  return builder_.sequence(
      {builder_.literal("{"), text_.space(), first, text_.space(), builder_.literal("}")});
}

}  // namespace troupe::grammar
