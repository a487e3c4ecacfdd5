#include "common/grammar/regex.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "common/grammar/text_reader.hpp"

namespace troupe::grammar {
namespace {

const CharSet kAscii{{0, 0x7F}};
const CharSet kDigit{{'0', '9'}};
const CharSet kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kSpace{{'\t', '\r'}, {' ', ' '}};
const CharSet kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

std::uint32_t add_lengths(std::uint32_t a, std::uint32_t b) {
  return a == kNoLimit || b == kNoLimit || a > kNoLimit - 1 - b ? kNoLimit : a + b;
}

std::uint32_t times(std::uint32_t length, std::uint32_t count) {
  if (length == 0 || count == 0) return 0;
  if (length == kNoLimit || count == kNoLimit || length > (kNoLimit - 1) / count) return kNoLimit;
  return length * count;
}

class Parser {
 public:
  Parser(Builder& builder, std::string_view pattern, const RegexOptions& options)
      : builder_(builder), options_(options), in_(pattern) {}

  Expected<Regex> parse() {
    auto whole = alternatives(0);
    if (whole && !in_.done()) return refuse("an unmatched ')'");
    return whole;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> refuse(const std::string& what) const {
    return fail(Errc::invalid_argument,
                what + " at offset " + std::to_string(in_.at()) + " is not supported");
  }

  Regex of(const CharSet& set) { return {options_.spell(builder_, set), 1, 1}; }

  Expected<Regex> alternatives(std::uint32_t depth) {
    if (depth > options_.nesting) return refuse("nesting deeper than " + std::to_string(options_.nesting));
    std::vector<Expr> exprs;
    Regex out{0, kNoLimit, 0};
    do {
      auto one = sequence(depth);
      if (!one) return one;
      exprs.push_back(one->expr);
      out.shortest = std::min(out.shortest, one->shortest);
      out.longest = std::max(out.longest, one->longest);
    } while (in_.take("|"));
    out.expr = builder_.choice(std::move(exprs));
    return out;
  }

  /// Of the outermost level, where anchors stand and their absence means that the text may go on.
  Expected<Regex> sequence(std::uint32_t depth) {
    std::vector<Expr> exprs;
    Regex out;
    const auto open_end = [&] {
      exprs.push_back(builder_.repeat(options_.spell(builder_, CharSet::all()), 0, kNoLimit));
      out.longest = kNoLimit;
    };
    const bool begins = depth == 0 && in_.take("^");
    if (depth == 0 && options_.anywhere && !begins) open_end();
    bool ends = false;
    while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
      if (depth == 0 && in_.peek() == '$' && (in_.peek(1) == '|' || in_.peek(1) == '\0')) {
        ends = in_.take("$");
        break;
      }
      auto next = repeated(depth);
      if (!next) return next;
      exprs.push_back(next->expr);
      out.shortest = add_lengths(out.shortest, next->shortest);
      out.longest = add_lengths(out.longest, next->longest);
    }
    if (depth == 0 && options_.anywhere && !ends) open_end();
    out.expr = builder_.sequence(std::move(exprs));
    return out;
  }

  Expected<Regex> repeated(std::uint32_t depth) {
    auto one = atom(depth);
    if (!one) return one;
    std::uint32_t least = 1, most = 1;
    if (in_.take("*")) {
      least = 0, most = kNoLimit;
    } else if (in_.take("+")) {
      most = kNoLimit;
    } else if (in_.take("?")) {
      least = 0;
    } else if (in_.peek() == '{') {
      TROUPE_TRY(counts(least, most));
    } else {
      return one;
    }
    (void)in_.take("?");  // lazy: the same texts match
    if (in_.peek() == '+' || in_.peek() == '*' || in_.peek() == '?')
      return refuse("a quantifier of a quantifier");
    return Regex{builder_.repeat(one->expr, least, most), times(one->shortest, least),
                 times(one->longest, most)};
  }

  Expected<void> counts(std::uint32_t& least, std::uint32_t& most) {
    (void)in_.take("{");
    const auto from = in_.take_number();
    if (!from) return refuse("'{' without a count");
    least = most = *from;
    if (in_.take(",")) {
      const auto to = in_.take_number();
      most = to.value_or(kNoLimit);
    }
    if (!in_.take("}") || least > most) return refuse("this count");
    return {};
  }

  Expected<Regex> atom(std::uint32_t depth) {
    if (in_.peek() == '(') return group(depth);
    if (in_.peek() == '[') {
      auto set = char_class();
      if (!set) return tl::unexpected<Error>(std::move(set.error()));
      return of(*set);
    }
    if (in_.take(".")) return of(kLineEnds.complement());
    if (in_.peek() == '\\') {
      auto set = escape(false);
      if (!set) return tl::unexpected<Error>(std::move(set.error()));
      return of(*set);
    }
    switch (in_.peek()) {
      case '^':
      case '$':
        return refuse("an anchor inside the expression");
      case '*':
      case '+':
      case '?':
        return refuse("a quantifier of nothing");
      default:
        break;
    }
    const char32_t one = in_.take_char();
    return of({{one, one}});
  }

  Expected<Regex> group(std::uint32_t depth) {
    (void)in_.take("(");
    if (in_.take("?")) {
      if (in_.starts("=") || in_.starts("!") || in_.starts("<=") || in_.starts("<!"))
        return refuse("look-around");
      if (in_.take("<") || in_.take("P<")) {
        while (!in_.done() && in_.peek() != '>') (void)in_.take_char();
        if (!in_.take(">")) return refuse("a group's name without an end");
      } else if (!in_.take(":")) {
        return refuse("'(?' of this kind");
      }
    }
    auto inner = alternatives(depth + 1);
    if (!inner) return inner;
    if (!in_.take(")")) return refuse("a group without an end");
    return inner;
  }

  Expected<CharSet> char_class() {
    (void)in_.take("[");
    const bool negated = in_.take("^");
    CharSet set;
    for (bool first = true; first || in_.peek() != ']'; first = false) {
      if (in_.done()) return refuse("a class without an end");
      if (first && in_.peek() == ']') break;
      auto low = class_part();
      if (!low) return low;
      const bool single = low->ranges().size() == 1 && low->ranges()[0].first == low->ranges()[0].last;
      if (!single || in_.peek() != '-' || in_.peek(1) == ']') {
        set.add(*low);
        continue;
      }
      (void)in_.take("-");
      auto high = class_part();
      if (!high) return high;
      if (high->ranges().size() != 1 || high->ranges()[0].first != high->ranges()[0].last ||
          high->ranges()[0].last < low->ranges()[0].first)
        return refuse("this range");
      set.add(low->ranges()[0].first, high->ranges()[0].last);
    }
    (void)in_.take("]");
    return negated ? set.complement() : set;
  }

  Expected<CharSet> class_part() {
    if (in_.done()) return refuse("a class without an end");
    if (in_.peek() == '\\') return escape(true);
    const char32_t one = in_.take_char();
    return CharSet{{one, one}};
  }

  /// A backslash and what it stands for.
  Expected<CharSet> escape(bool in_class) {
    (void)in_.take("\\");
    if (in_.done()) return refuse("a backslash at the end");
    const char32_t one = in_.take_char();
    switch (one) {
      case 'd':
        return kDigit;
      case 'w':
        return kWord;
      case 's':
        return kSpace;
      case 'D':
        return kAscii.without(kDigit);
      case 'W':
        return kAscii.without(kWord);
      case 'S':
        return kAscii.without(kSpace);
      case 'n':
        return CharSet{{'\n', '\n'}};
      case 't':
        return CharSet{{'\t', '\t'}};
      case 'r':
        return CharSet{{'\r', '\r'}};
      case 'f':
        return CharSet{{'\f', '\f'}};
      case 'v':
        return CharSet{{'\v', '\v'}};
      case '0':
        return CharSet{{0, 0}};
      case 'x':
        return code_point(in_.take_hex(2));
      case 'u':
        if (in_.take("{")) return braced_code_point();
        return code_point(in_.take_hex(4));
      case 'b':
        if (in_class) return CharSet{{'\b', '\b'}};
        [[fallthrough]];
      default:
        break;
    }
    const bool letter =
        (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z') || (one >= '0' && one <= '9');
    if (letter) return refuse(std::string("'\\") + static_cast<char>(one) + "'");
    return CharSet{{one, one}};
  }

  Expected<CharSet> braced_code_point() {
    for (std::size_t digits = 6; digits > 0; --digits) {
      if (in_.peek(digits) != '}') continue;
      auto set = code_point(in_.take_hex(digits));
      (void)in_.take("}");
      return set;
    }
    return refuse("this code point");
  }

  Expected<CharSet> code_point(std::optional<char32_t> one) {
    if (!one || *one > kLastChar || (*one >= 0xD800 && *one <= 0xDFFF)) return refuse("this code point");
    return CharSet{{*one, *one}};
  }

  Builder& builder_;
  const RegexOptions& options_;
  TextReader in_;
};

}  // namespace

Expr spell_plain(Builder& builder, const CharSet& set) {
  return builder.chars(set);
}

Expected<Regex> parse_regex(Builder& builder, std::string_view pattern, const RegexOptions& options) {
  if (const auto at = invalid_utf8_offset(pattern))
    return fail(Errc::invalid_argument, "invalid UTF-8 at offset " + std::to_string(*at));
  return Parser(builder, pattern, options).parse();
}

}  // namespace troupe::grammar
