#include "common/grammar/gbnf.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "common/grammar/text_reader.hpp"

namespace troupe::grammar {
namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  Parser(Builder& builder, std::string_view text, const Limits& limits)
      : builder_(builder), limits_(limits), text_(text), in_(text) {}

  Expected<Rule> parse() {
    skip_space(true);
    while (!in_.done()) {
      TROUPE_TRY(rule());
      skip_space(true);
    }
    for (const auto& [name, entry] : rules_)
      if (!entry.defined) return fail(Errc::invalid_argument, "rule '" + name + "' is used and not defined");
    const auto root = rules_.find("root");
    if (root == rules_.end()) return fail(Errc::invalid_argument, "there is no rule 'root'");
    return root->second.rule;
  }

 private:
  struct Entry {
    Rule rule = 0;
    bool defined = false;
  };

  [[nodiscard]] tl::unexpected<Error> refuse(const std::string& what) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(in_.at()), '\n');
    return fail(Errc::invalid_argument, "line " + std::to_string(line) + ": " + what);
  }

  /// Blanks and comments; line ends too where a rule may go on.
  void skip_space(bool lines) {
    while (!in_.done()) {
      const char c = in_.peek();
      if (c == '#') {
        while (!in_.done() && in_.peek() != '\n') in_.seek(in_.at() + 1);
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        in_.seek(in_.at() + 1);
      } else {
        return;
      }
    }
  }

  std::string name() {
    std::string out;
    for (; is_name(in_.peek()); in_.seek(in_.at() + 1)) out.push_back(in_.peek());
    return out;
  }

  Entry& entry(const std::string& rule_name) {
    const auto [at, fresh] = rules_.try_emplace(rule_name);
    if (fresh) at->second.rule = builder_.add_rule(rule_name);
    return at->second;
  }

  Expected<void> rule() {
    const std::string rule_name = name();
    if (rule_name.empty()) return refuse("expected the name of a rule");
    skip_space(false);
    if (!in_.take("::=")) return refuse("expected '::=' behind '" + rule_name + "'");
    if (entry(rule_name).defined) return refuse("rule '" + rule_name + "' is defined twice");
    entry(rule_name).defined = true;
    skip_space(true);
    auto body = alternatives(0);
    TROUPE_TRY(body);
    skip_space(false);
    (void)in_.take("\r");
    if (!in_.done() && in_.peek() != '\n') return refuse(std::string("unexpected '") + in_.peek() + "'");
    builder_.define(entry(rule_name).rule, *body);
    return {};
  }

  Expected<Expr> alternatives(std::uint32_t depth) {
    if (depth > limits_.nesting)
      return refuse("groups nested deeper than " + std::to_string(limits_.nesting));
    std::vector<Expr> options;
    while (true) {
      auto one = sequence(depth);
      if (!one) return one;
      options.push_back(*one);
      const std::size_t behind = in_.at();
      skip_space(true);  // the next line may begin with the '|'
      if (!in_.take("|")) {
        in_.seek(behind);
        break;
      }
      skip_space(true);
    }
    return builder_.choice(std::move(options));
  }

  Expected<Expr> sequence(std::uint32_t depth) {
    std::vector<Expr> parts;
    while (true) {
      skip_space(depth > 0);
      auto item = element(depth);
      TROUPE_TRY(item);
      if (!*item) return builder_.sequence(std::move(parts));
      auto whole = repeated(**item);
      TROUPE_TRY(whole);
      parts.push_back(*whole);
    }
  }

  /// nullopt: none begins here.
  Expected<std::optional<Expr>> element(std::uint32_t depth) {
    const char c = in_.peek();
    if (c == '"') return wrap(literal());
    if (c == '[') return wrap(char_class());
    if (in_.take(".")) return std::optional(builder_.chars(CharSet::all()));
    if (is_name(c)) return std::optional(builder_.call(entry(name()).rule));
    if (c == '<' || c == '!') return refuse("tokens in a grammar are not supported");
    if (c != '(') return std::optional<Expr>();
    (void)in_.take("(");
    skip_space(true);
    auto inner = alternatives(depth + 1);
    TROUPE_TRY(inner);
    skip_space(true);
    if (!in_.take(")")) return refuse("expected ')'");
    return std::optional(*inner);
  }

  static Expected<std::optional<Expr>> wrap(Expected<Expr> expr) {
    if (!expr) return tl::unexpected<Error>(std::move(expr.error()));
    return std::optional(*expr);
  }

  Expected<Expr> repeated(Expr expr) {
    while (true) {
      if (in_.take("*")) {
        expr = builder_.repeat(expr, 0, kNoLimit);
      } else if (in_.take("+")) {
        expr = builder_.repeat(expr, 1, kNoLimit);
      } else if (in_.take("?")) {
        expr = builder_.optional(expr);
      } else if (in_.take("{")) {
        skip_space(false);
        const auto least = in_.take_number();
        skip_space(false);
        auto most = least;
        if (in_.take(",")) {
          skip_space(false);
          most = in_.take_number().value_or(kNoLimit);
          skip_space(false);
        }
        if (!most || !in_.take("}") || least.value_or(0) > *most)
          return refuse("expected a count such as {1,5}");
        expr = builder_.repeat(expr, least.value_or(0), *most);
      } else {
        return expr;
      }
    }
  }

  Expected<Expr> literal() {
    (void)in_.take("\"");
    std::string out;
    while (in_.peek() != '"') {
      if (in_.done() || in_.peek() == '\n') return refuse("a text without an end");
      auto one = character();
      TROUPE_TRY(one);
      append_utf8(out, *one);
    }
    (void)in_.take("\"");
    return builder_.literal(out);
  }

  Expected<Expr> char_class() {
    (void)in_.take("[");
    const bool negated = in_.take("^");
    CharSet set;
    while (in_.peek() != ']') {
      if (in_.done() || in_.peek() == '\n') return refuse("a class without an end");
      auto low = character();
      TROUPE_TRY(low);
      if (in_.peek() != '-' || in_.peek(1) == ']') {
        set.add(*low);
        continue;
      }
      (void)in_.take("-");
      if (in_.done()) return refuse("a class without an end");
      auto high = character();
      TROUPE_TRY(high);
      if (*high < *low) return refuse("a range whose end comes before its begin");
      set.add(*low, *high);
    }
    (void)in_.take("]");
    return builder_.chars(negated ? set.complement() : set);
  }

  Expected<char32_t> character() {
    if (!in_.take("\\")) return in_.take_char();
    if (in_.done()) return refuse("a backslash at the end");
    const char32_t one = in_.take_char();
    std::optional<char32_t> value = one;
    switch (one) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return one;
      case 'x':
        value = in_.take_hex(2);
        break;
      case 'u':
        value = in_.take_hex(4);
        break;
      case 'U':
        value = in_.take_hex(8);
        break;
      default:
        return refuse("an unknown escape");
    }
    if (!value || *value > kLastChar || (*value >= 0xD800 && *value <= 0xDFFF))
      return refuse("no such code point");
    return *value;
  }

  Builder& builder_;
  const Limits& limits_;
  std::string_view text_;
  TextReader in_;
  std::map<std::string, Entry> rules_;
};

}  // namespace

Expected<Rule> parse_gbnf(Builder& builder, std::string_view text, const Limits& limits) {
  if (const auto at = invalid_utf8_offset(text))
    return fail(Errc::invalid_argument, "invalid UTF-8 at offset " + std::to_string(*at));
  return Parser(builder, text, limits).parse();
}

}  // namespace troupe::grammar
