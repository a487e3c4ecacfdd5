#include "common/template/lexer.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "common/template/ast.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool digit(char c) { return c >= '0' && c <= '9'; }

/// One kind of line end, and the very last one gone.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_data();
    tokens_.push_back({TokenKind::end, line_, {}});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string reason) const { throw Fault{line_, std::move(reason)}; }
  [[nodiscard]] char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  [[nodiscard]] bool sees(std::string_view what) const { return std::string_view(source_).substr(at_).starts_with(what); }

  void advance(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count), '\n'));
    if (count > 0) line_starts_ = source_[at_ + count - 1] == '\n';
    at_ += count;
  }
  void skip_space() {
    while (at_ < source_.size()) {
      std::size_t next = at_;
      if (!is_space(next_point(source_, next))) break;
      advance(next - at_);
    }
  }
  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }

  /// Text before a tag loses white space: all of it after '-', the tag's own indentation unless '+' or the tag prints.
  void push_data(std::string_view text, char sign, bool prints) {
    const bool at_line_start = line_starts_;
    std::string_view kept = text;
    if (sign == '-') {
      kept = strip(text, std::nullopt, false, true);
    } else if (sign != '+' && !prints) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((start > 0 || at_line_start) && strip(text.substr(start), std::nullopt, true, false).empty()) kept = text.substr(0, start);
    }
    if (!kept.empty()) push(TokenKind::data, std::string(kept));
  }

  void read_data() {
    std::size_t open = at_;
    while ((open = source_.find('{', open)) != std::string::npos) {
      const char second = open + 1 < source_.size() ? source_[open + 1] : '\0';
      if (second == '%' || second == '{' || second == '#') break;
      ++open;
    }
    const std::string_view all = source_;
    if (open == std::string::npos) {
      push(TokenKind::data, std::string(all.substr(at_)));
      advance(source_.size() - at_);
      return;
    }
    const char kind = source_[open + 1];
    char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    push_data(all.substr(at_, open - at_), sign, kind == '{');
    advance(open - at_ + (sign ? 3 : 2));
    if (kind == '#') {
      skip_comment();
    } else if (kind == '%' && read_raw()) {
      return;
    } else {
      read_tag(kind == '{');
    }
  }

  /// After a closing "%}" or "#}": a minus eats white space, nothing eats one newline, a plus eats nothing.
  void finish(char sign, bool trims_newline) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && trims_newline && peek() == '\n') {
      advance(1);
    }
  }

  void skip_comment() {
    if (at_ == source_.size()) return;  // opened at the very end: jinja2 lets it pass
    const std::size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fail("Missing end of comment tag");
    const char sign = close > at_ ? source_[close - 1] : '\0';
    advance(close + 2 - at_);
    finish(sign, true);
  }

  /// Matches `word` and the closing of its block from `at`; the end of the match and the closing sign, if so.
  std::optional<std::pair<std::size_t, char>> block_word(std::size_t at, std::string_view word) const {
    const auto spaces = [&] {
      while (at < source_.size() && is_space(static_cast<unsigned char>(source_[at]))) ++at;
    };
    spaces();
    if (source_.compare(at, word.size(), word) != 0) return std::nullopt;
    at += word.size();
    spaces();
    char sign = at < source_.size() ? source_[at] : '\0';
    if (sign == '-' || sign == '+') {
      ++at;
    } else {
      sign = '\0';
    }
    if (source_.compare(at, 2, "%}") != 0) return std::nullopt;
    return std::pair(at + 2, sign);
  }

  bool read_raw() {
    const auto begin = block_word(at_, "raw");
    if (!begin || begin->second == '+') return false;
    advance(begin->first - at_);
    finish(begin->second, false);
    for (std::size_t open = at_; (open = source_.find("{%", open)) != std::string::npos; ++open) {
      char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
      if (sign != '-' && sign != '+') sign = '\0';
      const auto close = block_word(open + (sign ? 3 : 2), "endraw");
      if (!close) continue;
      push_data(std::string_view(source_).substr(at_, open - at_), sign, false);
      advance(close->first - at_);
      finish(close->second, true);
      return true;
    }
    fail("Missing end of raw directive");
  }

  bool read_close(bool prints) {
    if (!brackets_.empty()) return false;
    const std::string_view close = prints ? "}}" : "%}";
    char sign = peek();
    if (sign != '-' && (sign != '+' || prints)) sign = '\0';
    if (source_.compare(at_ + (sign ? 1 : 0), 2, close) != 0) return false;
    push(prints ? TokenKind::print_end : TokenKind::block_end, {});
    advance(sign ? 3 : 2);
    finish(sign, !prints);
    return true;
  }

  void read_tag(bool prints) {
    push(prints ? TokenKind::print_begin : TokenKind::block_begin, {});
    brackets_.clear();
    while (true) {
      if (at_ >= source_.size()) fail(prints ? "the print statement never ends" : "the block tag never ends");
      if (read_close(prints)) return;
      const char c = peek();
      std::size_t after = at_;
      if (is_space(next_point(source_, after))) {
        skip_space();
      } else if (digit(c)) {
        read_number();
      } else if (name_char(c)) {
        std::size_t end = at_;
        while (end < source_.size() && name_char(source_[end])) ++end;
        push(TokenKind::name, source_.substr(at_, end - at_));
        advance(end - at_);
      } else if (c == '"' || c == '\'') {
        read_text(c);
      } else {
        read_symbol();
      }
    }
  }

  [[nodiscard]] std::size_t digits_end(std::size_t at) const {
    while (at < source_.size() && (digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && digit(source_[at + 1])))) ++at;
    return at;
  }

  void read_number() {
    const char mark = static_cast<char>(peek(1) | 0x20);
    std::size_t end = at_;
    bool real = false;
    if (peek() == '0' && (mark == 'x' || mark == 'o' || mark == 'b')) {
      end += 2;
      while (end < source_.size() && name_char(source_[end])) ++end;
    } else {
      end = digits_end(at_);
      const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
      if (!after_dot && end + 1 < source_.size() && source_[end] == '.' && digit(source_[end + 1])) {
        real = true;
        end = digits_end(end + 1);
      }
      std::size_t exponent = end;
      if (!after_dot && exponent < source_.size() && (source_[exponent] | 0x20) == 'e') {
        ++exponent;
        if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
        if (exponent < source_.size() && digit(source_[exponent])) {
          real = true;
          end = digits_end(exponent);
        }
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    push(real ? TokenKind::real : TokenKind::integer, std::move(text));
    advance(end - at_);
  }

  void read_text(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("a string never ends");
    push(TokenKind::text, unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
  }

  char32_t hex(std::string_view text, std::size_t at, std::size_t count) const {
    char32_t point = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const char c = at + i < text.size() ? text[at + i] : '\0';
      const char low = static_cast<char>(c | 0x20);
      if (!digit(c) && (low < 'a' || low > 'f')) fail("truncated escape in a string");
      point = point * 16 + static_cast<char32_t>(digit(c) ? c - '0' : low - 'a' + 10);
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) fail("a string escape names no character");
    return point;
  }

  [[nodiscard]] std::string unescape(std::string_view text) const {
    static constexpr std::string_view kLetters = "abfnrtv\\'\"", kMeanings = "\a\b\f\n\r\t\v\\'\"";
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 >= text.size()) {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      if (const auto known = kLetters.find(c); known != std::string_view::npos) {
        out += kMeanings[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_point(out, hex(text, i + 1, count));
        i += count;
      } else if (c >= '0' && c <= '7') {
        char32_t point = 0;
        std::size_t used = 0;
        for (; used < 3 && i + used < text.size() && text[i + used] >= '0' && text[i + used] <= '7'; ++used) {
          point = point * 8 + static_cast<char32_t>(text[i + used] - '0');
        }
        append_point(out, point);
        i += used - 1;
      } else if (c == 'N') {
        fail("named escapes are not supported in strings");
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void read_symbol() {
    static constexpr std::array<std::string_view, 6> kDouble = {"//", "**", "==", "!=", ">=", "<="};
    for (const auto symbol : kDouble) {
      if (!sees(symbol)) continue;
      push(TokenKind::symbol, std::string(symbol));
      advance(2);
      return;
    }
    const char c = peek();
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) fail(say({"unexpected char ", quote_repr(std::string(1, c))}));
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c) fail(say({"unexpected '", std::string(1, c), "'"}));
      brackets_.pop_back();
    }
    push(TokenKind::symbol, std::string(1, c));
    advance(1);
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;
  std::string brackets_;  // the closing brackets awaited
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace troupe::jinja
