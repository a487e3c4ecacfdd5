#include "common/grammar/json_text.hpp"

#include <algorithm>

#include "common/grammar/text_reader.hpp"

namespace troupe::grammar {
namespace {

constexpr std::uint32_t kMostBlanks = 16;
constexpr std::uint32_t kMostDigits = 15;  // of whole numbers: doubles hold them exactly

const CharSet kMustEscape{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

}  // namespace

/// The rule is known before it is made: values hold values.
template <class Make>
Expr JsonText::once(std::optional<Rule>& rule, const char* name, const Make& make) {
  if (!rule) {
    rule = builder_.add_rule(name);
    builder_.define(*rule, make());
  }
  return builder_.call(*rule);
}

Expr JsonText::space() {
  return once(space_, "space", [this] {
    const Expr blank = builder_.choice({builder_.literal(" "), builder_.literal("\t")});
    const Expr line = builder_.sequence({builder_.literal("\n"), builder_.repeat(blank, 0, kMostBlanks)});
    return builder_.choice({builder_.empty(), builder_.literal(" "), line});
  });
}

Expr JsonText::any_value() {
  return once(value_, "value", [this] {
    return builder_.choice(
        {any_object(), any_array(), string(), number(), boolean(), builder_.literal("null")});
  });
}

Expr JsonText::members(Expr one) {
  const Expr more = builder_.sequence({builder_.literal(","), space(), one});
  return builder_.optional(builder_.sequence({one, builder_.repeat(more, 0, kNoLimit), space()}));
}

Expr JsonText::any_object() {
  return once(object_, "object", [this] {
    return builder_.sequence(
        {builder_.literal("{"), space(), members(member(string(), any_value())), builder_.literal("}")});
  });
}

Expr JsonText::any_array() {
  return once(array_, "array", [this] {
    return builder_.sequence({builder_.literal("["), space(), members(any_value()), builder_.literal("]")});
  });
}

Expr JsonText::member(Expr key, Expr value) {
  return builder_.sequence({key, builder_.literal(":"), space(), value});
}

/// A surrogate comes in pairs only, so that every string is text.
Expr JsonText::character() {
  const auto hex = [this](const char* digits) {
    std::vector<Expr> options;
    for (const char* c = digits; *c != '\0'; ++c) options.push_back(builder_.literal(std::string_view(c, 1)));
    return builder_.choice(std::move(options));
  };
  constexpr const char* kAny = "0123456789abcdefABCDEF";
  const Expr any = hex(kAny);
  const Expr d = hex("dD");
  const Expr plain = builder_.choice({builder_.sequence({hex("0123456789abcefABCEF"), any, any, any}),
                                      builder_.sequence({d, hex("01234567"), any, any})});
  const Expr high = builder_.sequence({d, hex("89abAB"), any, any});
  const Expr low = builder_.sequence({d, hex("cdefCDEF"), any, any});
  const Expr code =
      builder_.sequence({builder_.literal("u"),
                         builder_.choice({plain, builder_.sequence({high, builder_.literal("\\u"), low})})});
  const Expr escape = builder_.sequence({builder_.literal("\\"), builder_.choice({hex("\"\\/bfnrt"), code})});
  return builder_.choice({builder_.chars(kMustEscape.complement()), escape});
}

Expr JsonText::quoted(Expr inner) {
  return builder_.sequence({builder_.literal("\""), inner, builder_.literal("\"")});
}

Expr JsonText::string() {
  return once(string_, "string", [this] { return quoted(builder_.repeat(character(), 0, kNoLimit)); });
}

Expr JsonText::string(std::uint32_t least, std::uint32_t most) {
  if (least == 0 && most == kNoLimit) return string();
  const Expr one = once(char_, "char", [this] { return character(); });
  if (most != kNoLimit) return quoted(builder_.repeat(one, least, most));
  return quoted(
      builder_.sequence({builder_.repeat(one, least, least), builder_.repeat(character(), 0, kNoLimit)}));
}

Expr JsonText::boolean() {
  return builder_.choice({builder_.literal("true"), builder_.literal("false")});
}

Expr JsonText::integer() {
  return once(integer_, "integer", [this] {
    const Expr more = builder_.repeat(builder_.byte_range('0', '9'), 0, kMostDigits - 1);
    const Expr whole =
        builder_.choice({builder_.literal("0"), builder_.sequence({builder_.byte_range('1', '9'), more})});
    return builder_.sequence({builder_.optional(builder_.literal("-")), whole});
  });
}

Expr JsonText::number() {
  return once(number_, "number", [this] {
    const Expr digit = builder_.byte_range('0', '9');
    const Expr fraction =
        builder_.sequence({builder_.literal("."), builder_.repeat(digit, 1, kMostDigits + 1)});
    const Expr sign = builder_.choice({builder_.empty(), builder_.literal("+"), builder_.literal("-")});
    const Expr exponent = builder_.sequence({builder_.choice({builder_.literal("e"), builder_.literal("E")}),
                                             sign, builder_.repeat(digit, 1, 2)});
    return builder_.sequence({integer(), builder_.optional(fraction), builder_.optional(exponent)});
  });
}

Expr JsonText::value(const Json& value) {
  return builder_.literal(value.dump());
}

Expr JsonText::spell(Builder& builder, const CharSet& set) {
  std::vector<Expr> options{builder.chars(set.without(kMustEscape))};
  const CharSet escaped = set.within(kMustEscape);
  for (const CharRange& range : escaped.ranges())
    for (char32_t one = range.first; one <= range.last; ++one) {
      const std::string text = Json(std::string(1, static_cast<char>(one))).dump();
      options.push_back(builder.literal(std::string_view(text).substr(1, text.size() - 2)));
    }
  return builder.choice(std::move(options));
}

/// What may follow behind `depth` characters that the keys [begin, end) of the sorted list share.
Expr JsonText::key_tail(const std::vector<std::u32string>& taken, std::size_t begin, std::size_t end,
                        std::size_t depth) {
  const Expr one = once(key_char_, "key-char", [this] { return builder_.chars(kMustEscape.complement()); });
  std::vector<Expr> options;
  const bool is_key = taken[begin].size() == depth;
  if (!is_key) options.push_back(builder_.empty());
  CharSet branched;
  for (std::size_t at = begin + (is_key ? 1 : 0); at < end;) {
    const char32_t lead = taken[at][depth];
    std::size_t next = at;
    while (next < end && taken[next][depth] == lead) ++next;
    branched.add(lead);
    options.push_back(builder_.sequence({builder_.chars(CharSet{{lead, lead}}),
                                         builder_.named("key", key_tail(taken, at, next, depth + 1))}));
    at = next;
  }
  const CharSet others = kMustEscape.complement().without(branched);
  options.push_back(builder_.sequence({builder_.chars(others), builder_.repeat(one, 0, kNoLimit)}));
  return builder_.choice(std::move(options));
}

Expr JsonText::other_key(const std::set<std::string>& taken) {
  std::vector<std::u32string> keys;
  for (const std::string& key : taken) {
    std::u32string characters;
    for (TextReader in(key); !in.done();) characters.push_back(in.take_char());
    const bool written = std::none_of(characters.begin(), characters.end(),
                                      [](char32_t c) { return kMustEscape.contains(c); });
    if (written) keys.push_back(std::move(characters));
  }
  std::sort(keys.begin(), keys.end());
  if (keys.empty()) return string();
  return quoted(key_tail(keys, 0, keys.size(), 0));
}

}  // namespace troupe::grammar
