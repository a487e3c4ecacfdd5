#include "common/grammar/tagged.hpp"

#include <algorithm>
#include <utility>

#include "common/grammar/json_schema.hpp"

namespace troupe::grammar {
namespace {

constexpr std::uint32_t kMostItems = 64;
constexpr std::size_t kLongestTrigger = 64;

tl::unexpected<Error> refuse(const std::string& place, const std::string& what) {
  return fail(Errc::invalid_argument, place + ": " + what);
}

Expected<std::string> text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return refuse(key, "expected a string");
  return found->get<std::string>();
}

Expected<Expr> item(Builder& builder, const Json& form, const Limits& limits) {
  if (!form.is_object() || !form.contains("schema")) return refuse("items", "expected objects with a schema");
  const auto begin = text_of(form, "begin");
  TROUPE_TRY(begin);
  const auto end = text_of(form, "end");
  TROUPE_TRY(end);
  auto value = SchemaCompiler(builder, form.at("schema"), limits).compile();
  TROUPE_TRY(value);
  return builder.sequence({builder.literal(*begin), *value, builder.literal(*end)});
}

/// All items, without what opens them.
Expected<Expr> behind_open(Builder& builder, const Json& form, const Limits& limits) {
  const auto items = form.find("items");
  if (items == form.end() || !items->is_array() || items->empty())
    return refuse("items", "expected a list that is not empty");
  const auto between = text_of(form, "between");
  TROUPE_TRY(between);
  const auto close = text_of(form, "close");
  TROUPE_TRY(close);
  const auto most = form.find("most");
  if (most == form.end() || !most->is_number_unsigned() || *most < 1 || *most > kMostItems)
    return refuse("most", "expected an integer from 1 to " + std::to_string(kMostItems));
  std::vector<Expr> options;
  for (const Json& one : *items) {
    auto made = item(builder, one, limits);
    if (!made) return made;
    options.push_back(*made);
  }
  const Expr one = builder.named("item", builder.choice(std::move(options)));
  const Expr more = builder.sequence({builder.literal(*between), one});
  return builder.sequence(
      {one, builder.repeat(more, 0, most->get<std::uint32_t>() - 1), builder.literal(*close)});
}

/// How much of `trigger` stands at the end of its first `matched` bytes and `next`.
std::size_t matched_after(const std::string& trigger, std::size_t matched, char next) {
  const std::string text = trigger.substr(0, matched) + next;
  for (std::size_t length = std::min(trigger.size(), text.size()); length > 0; --length)
    if (text.ends_with(std::string_view(trigger).substr(0, length))) return length;
  return 0;
}

/// Any text, which goes on as `after` says behind the first `trigger` in it. A rule for each part of the
/// trigger that may have been read, as in the search of Knuth, Morris and Pratt.
Expr until(Builder& builder, const std::string& trigger, Expr after) {
  std::vector<Rule> rules;
  for (std::size_t i = 0; i < trigger.size(); ++i)
    rules.push_back(builder.add_rule("text" + std::to_string(i)));
  for (std::size_t i = 0; i < trigger.size(); ++i) {
    std::vector<Expr> options{builder.empty()};
    for (unsigned first = 0; first < 256;) {
      const std::size_t matched = matched_after(trigger, i, static_cast<char>(first));
      unsigned last = first;
      while (last < 255 && matched_after(trigger, i, static_cast<char>(last + 1)) == matched) ++last;
      const Expr next = matched == trigger.size() ? after : builder.call(rules[matched]);
      const Expr bytes =
          builder.byte_range(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last));
      options.push_back(builder.sequence({bytes, next}));
      first = last + 1;
    }
    builder.define(rules[i], builder.choice(std::move(options)));
  }
  return builder.call(rules.front());
}

/// Any text but those whose first byte that is not blank is in `not_these`.
Expr unlike(Builder& builder, const std::string& not_these) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<Expr> blanks, others;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const Expr one = builder.byte_range(static_cast<std::uint8_t>(byte), static_cast<std::uint8_t>(byte));
    if (kBlanks.find(c) != std::string_view::npos)
      blanks.push_back(one);
    else if (not_these.find(c) == std::string::npos)
      others.push_back(one);
  }
  const Rule rest = builder.add_rule("rest");
  builder.define(rest, builder.choice({builder.empty(),
                                       builder.sequence({builder.byte_range(0, 255), builder.call(rest)})}));
  const Expr begun = builder.sequence({builder.choice(std::move(others)), builder.call(rest)});
  const Rule start = builder.add_rule("start");
  builder.define(
      start, builder.choice({builder.empty(), begun,
                             builder.sequence({builder.choice(std::move(blanks)), builder.call(start)})}));
  return builder.call(start);
}

}  // namespace

Expected<Expr> tagged(Builder& builder, const Json& form, const Limits& limits) {
  if (!form.is_object()) return refuse("#", "expected an object");
  const auto open = text_of(form, "open");
  TROUPE_TRY(open);
  auto items = behind_open(builder, form, limits);
  if (!items) return items;
  const Expr whole = builder.sequence({builder.literal(*open), *items});
  const auto free = form.find("free");
  if (free == form.end()) return whole;
  if (!free->is_object() || free->size() != 1) return refuse("free", "expected an object of one key");
  if (const auto schema = free->find("schema"); schema != free->end()) {
    auto other = SchemaCompiler(builder, *schema, limits).compile();
    if (!other) return other;
    return builder.choice({whole, *other});
  }
  if (free->contains("unlike")) {
    const auto not_these = text_of(*free, "unlike");
    TROUPE_TRY(not_these);
    return builder.choice({whole, unlike(builder, *not_these)});
  }
  const auto trigger = text_of(*free, "trigger");
  TROUPE_TRY(trigger);
  if (trigger->empty() || trigger->size() > kLongestTrigger || !open->starts_with(*trigger))
    return refuse("trigger", "expected what 'open' begins with");
  return until(builder, *trigger, builder.sequence({builder.literal(open->substr(trigger->size())), *items}));
}

}  // namespace troupe::grammar
