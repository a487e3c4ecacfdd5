// Python's two ways of formatting: "%05.2f" % value and "{:>8}".format(value).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

constexpr std::int64_t kMaxPrecision = 1000;

struct Spec {
  std::string fill = " ";
  char align = '\0', sign = '-', type = '\0';
  bool alternate = false, zero = false, comma = false;
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
};

std::int64_t read_count(Machine& machine, std::string_view text, std::size_t& at) {
  std::int64_t count = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    count = count * 10 + (text[at] - '0');
    if (count > INT32_MAX) machine.fail("too many decimal digits in a format");
  }
  return count;
}

std::string padded(Machine& machine, const std::string& body, const Spec& spec, char usual) {
  const auto size = static_cast<std::int64_t>(count_points(body));
  if (spec.width <= size) return body;
  const auto missing = static_cast<std::size_t>(spec.width - size);
  machine.grow(missing * spec.fill.size() + body.size());
  const auto fill = [&](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += spec.fill;
    return out;
  };
  const char align = spec.align != '\0' ? spec.align : usual;
  if (align == '<') return body + fill(missing);
  if (align == '^') return fill(missing / 2) + body + fill(missing - missing / 2);
  if (align == '=') {
    const std::size_t sign = !body.empty() && (body[0] == '-' || body[0] == '+' || body[0] == ' ') ? 1 : 0;
    return body.substr(0, sign) + fill(missing) + body.substr(sign);
  }
  return fill(missing) + body;
}

std::string with_commas(const std::string& digits) {
  const std::size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (std::size_t i = 0; i < end; ++i) {
    if (i > 0 && (end - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(end);
}

std::string in_base(std::uint64_t value, unsigned base, bool capitals) {
  std::string out;
  do {
    const auto digit = static_cast<char>(value % base);
    out.insert(out.begin(), static_cast<char>(digit < 10 ? '0' + digit : (capitals ? 'A' : 'a') + digit - 10));
    value /= base;
  } while (value > 0);
  return out;
}

std::string signed_text(bool negative, const Spec& spec, std::string digits) {
  if (spec.comma) digits = with_commas(digits);
  if (negative) return "-" + digits;
  return spec.sign == '-' ? digits : spec.sign + digits;
}

std::string whole_text(const Value& value, const Spec& spec) {
  const std::int64_t number = value.whole();
  const std::uint64_t size = number < 0 ? ~static_cast<std::uint64_t>(number) + 1 : static_cast<std::uint64_t>(number);
  const char type = spec.type;
  const unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  std::string digits = in_base(size, base, type == 'X');
  if (spec.alternate && base != 10) digits = std::string("0") + type + digits;
  return signed_text(number < 0, spec, std::move(digits));
}

std::string real_text(Machine& machine, double value, const Spec& spec) {
  if (spec.precision.value_or(0) > kMaxPrecision) machine.fail("a format's precision is too large");
  const bool negative = std::signbit(value);
  const double size = std::abs(value);
  if (spec.type == '\0' && !spec.precision) return signed_text(negative, spec, float_repr(size));
  const bool percent = spec.type == '%';
  const char type = percent ? 'f' : spec.type == '\0' || spec.type == 'n' ? 'g' : spec.type;
  const std::string format = std::string(spec.alternate ? "%#.*" : "%.*") + type;
  std::array<char, 1500> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format.c_str(), static_cast<int>(spec.precision.value_or(6)), percent ? size * 100 : size);
  return signed_text(negative, spec, std::string(buffer.data()) + (percent ? "%" : ""));
}

bool real_type(char type) { return std::string_view("eEfFgG%").find(type) != std::string_view::npos && type != '\0'; }

std::string cut(const std::string& text, const Spec& spec) {
  if (!spec.precision) return text;
  return text.substr(0, offset_of_point(text, static_cast<std::size_t>(*spec.precision)));
}

/// format(value, spec)
std::string format_value(Machine& machine, const Value& value, std::string_view text) {
  if (text.empty()) return str(machine, value);
  Spec spec;
  std::size_t at = 0, after = 0;
  const std::string_view aligns = "<>=^";
  (void)next_point(text, after);
  if (after < text.size() && aligns.find(text[after]) != std::string_view::npos) {
    spec.fill = text.substr(0, after);
    spec.align = text[after];
    at = after + 1;
  } else if (aligns.find(text[0]) != std::string_view::npos) {
    spec.align = text[at++];
  }
  if (at < text.size() && std::string_view("+- ").find(text[at]) != std::string_view::npos) spec.sign = text[at++];
  if (at < text.size() && text[at] == '#') spec.alternate = ++at > 0;
  if (at < text.size() && text[at] == '0') {
    ++at;
    if (spec.align == '\0') {
      spec.align = value.is_text() ? '<' : '=';
      spec.fill = "0";
    }
  }
  spec.width = read_count(machine, text, at);
  if (at < text.size() && text[at] == ',') spec.comma = ++at > 0;
  if (at < text.size() && text[at] == '.') {
    const std::size_t digits = ++at;
    spec.precision = read_count(machine, text, at);
    if (at == digits) machine.fail("format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) machine.fail(say({"invalid format specifier ", quote_repr(text)}));
  if (value.is_text()) {
    if ((spec.type != '\0' && spec.type != 's') || spec.align == '=' || spec.sign != '-') machine.fail("invalid format for a string");
    return padded(machine, cut(value.bytes(), spec), spec, '<');
  }
  if (value.is_number() && (value.is<double>() || real_type(spec.type))) {
    if (spec.type != '\0' && spec.type != 'n' && !real_type(spec.type)) machine.fail("invalid format for a float");
    return padded(machine, real_text(machine, value.real(), spec), spec, '>');
  }
  if (value.is_whole()) {
    if (spec.precision) machine.fail("precision not allowed in an integer format");
    if (spec.type == 'c') {
      if (value.whole() < 0 || value.whole() > 0x10FFFF) machine.fail("%c arg not in range");
      return padded(machine, from_points(std::u32string(1, static_cast<char32_t>(value.whole()))), spec, '<');
    }
    if (spec.type != '\0' && std::string_view("dnxXob").find(spec.type) == std::string_view::npos) machine.fail("invalid format for an integer");
    return padded(machine, whole_text(value, spec), spec, '>');
  }
  machine.fail(say({"unsupported format for '", type_name(value), "'"}));
}

/// The running part of str.format: fields, their numbering, their nesting.
class BraceFormat {
 public:
  BraceFormat(Machine& machine, const Args& args) : machine_(machine), args_(args) {}

  std::string run(std::string_view format, int level = 0) {
    if (level > 2) machine_.fail("max string recursion exceeded");
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
      machine_.step();
      const char c = format[at];
      if (c != '{' && c != '}') {
        const std::size_t next = std::min(format.find_first_of("{}", at), format.size());
        out += format.substr(at, next - at);
        at = next;
      } else if (at + 1 < format.size() && format[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        machine_.fail("single '}' encountered in format string");
      } else {
        const std::size_t end = field_end(format, at + 1);
        out += field(format.substr(at + 1, end - at - 1), level);
        at = end + 1;
      }
      machine_.fits(out.size());
    }
    machine_.grow(out.size());
    return out;
  }

 private:
  std::size_t field_end(std::string_view format, std::size_t at) const {
    for (int open = 1; at < format.size(); ++at) {
      if (format[at] == '{') ++open;
      if (format[at] == '}' && --open == 0) return at;
    }
    machine_.fail("expected '}' before end of string");
  }

  std::string field(std::string_view text, int level) {
    std::size_t brackets = 0, end = 0;
    for (; end < text.size(); ++end) {
      if (text[end] == '[') ++brackets;
      if (text[end] == ']' && brackets > 0) --brackets;
      if (brackets == 0 && (text[end] == '!' || text[end] == ':')) break;
    }
    Value value = find(text.substr(0, end));
    std::string_view rest = text.substr(end);
    if (!rest.empty() && rest[0] == '!') {
      const char conversion = rest.size() > 1 ? rest[1] : '\0';
      if ((conversion != 'r' && conversion != 's' && conversion != 'a') || (rest.size() > 2 && rest[2] != ':')) {
        machine_.fail("unknown conversion specifier in a format");
      }
      value = machine_.text(conversion == 's' ? str(machine_, value) : repr(machine_, value));
      rest.remove_prefix(2);
    }
    if (!rest.empty()) rest.remove_prefix(1);
    return format_value(machine_, value, run(rest, level + 1));
  }

  Value find(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    std::string_view rest = name.substr(end);
    while (!rest.empty()) {
      if (rest[0] == '.') {
        const std::size_t stop = std::min(rest.find_first_of(".[", 1), rest.size());
        value = get_attribute(machine_, value, std::string(rest.substr(1, stop - 1)));
        rest.remove_prefix(stop);
      } else {
        const std::size_t stop = rest.find(']');
        if (rest[0] != '[' || stop == std::string_view::npos) machine_.fail("malformed field in a format");
        const std::string key(rest.substr(1, stop - 1));
        const auto index = parse_integer(key, 10);
        value = get_item(machine_, value, index ? Value(*index) : machine_.text(key));
        rest.remove_prefix(stop + 1);
      }
      if (value.is_undefined()) machine_.fail(value.as<Undefined>().reason ? *value.as<Undefined>().reason : "undefined in a format");
    }
    return value;
  }

  Value first(std::string_view name) {
    const bool numbered = name.find_first_not_of("0123456789") == std::string_view::npos;
    if (numbered) {
      if (name.empty() ? manual_ : automatic_) machine_.fail("cannot mix automatic and manual field numbering");
      (name.empty() ? automatic_ : manual_) = true;
      const auto index = name.empty() ? std::optional(next_++) : parse_integer(name, 10);
      if (!index || *index >= static_cast<std::int64_t>(args_.positional.size())) machine_.fail("replacement index out of range in a format");
      return args_.positional[static_cast<std::size_t>(*index)];
    }
    machine_.step(args_.named.size() / 16);
    for (const auto& [known, value] : args_.named) {
      if (known == name) return value;
    }
    machine_.fail(say({"the format names the unknown field ", quote_repr(name)}));
  }

  Machine& machine_;
  const Args& args_;
  std::int64_t next_ = 0;
  bool automatic_ = false, manual_ = false;
};

/// The running part of "%": conversions, one after the other.
class PercentFormat {
 public:
  PercentFormat(Machine& machine, const std::string& format, const Value& arguments) : machine_(machine), format_(format), whole_(arguments) {
    if (arguments.is_list() && arguments.as<ListPtr>()->kind == ListKind::tuple) {
      values_ = arguments.as<ListPtr>()->items;
    } else {
      values_ = {arguments};
    }
  }

  std::string run() {
    while (at_ < format_.size()) {
      machine_.step();
      const std::size_t mark = std::min(format_.find('%', at_), format_.size());
      out_ += format_.substr(at_, mark - at_);
      at_ = mark;
      if (at_ < format_.size()) conversion();
      machine_.fits(out_.size());
    }
    const bool mapping = whole_.is_dict() || (whole_.is_list() && whole_.as<ListPtr>()->kind != ListKind::tuple);
    if (used_ < values_.size() && !mapping) machine_.fail("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  const Value& next() {
    if (used_ >= values_.size()) machine_.fail("not enough arguments for format string");
    return values_[used_++];
  }
  char peek() const {
    if (at_ >= format_.size()) machine_.fail("incomplete format");
    return format_[at_];
  }

  void conversion() {
    ++at_;
    std::optional<Value> named;
    if (peek() == '(') {
      const std::size_t close = format_.find(')', at_);
      if (close == std::string::npos) machine_.fail("incomplete format key");
      if (!whole_.is_dict()) machine_.fail("format requires a mapping");
      const Value* const found = find_key(machine_, *whole_.as<DictPtr>(), machine_.text(format_.substr(at_ + 1, close - at_ - 1)));
      if (found == nullptr) machine_.fail("the format names an unknown key");
      named = *found;
      used_ = values_.size();
      at_ = close + 1;
    }
    Spec spec;
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos; ++at_) {
      if (peek() == '-') spec.align = '<';
      if (peek() == '+' || (peek() == ' ' && spec.sign != '+')) spec.sign = peek();
      if (peek() == '#') spec.alternate = true;
      if (peek() == '0') spec.zero = true;
    }
    if (peek() == '*') {
      ++at_;
      spec.width = whole_number(machine_, next());
      if (spec.width < 0) spec.align = '<';
      if (spec.width < -INT32_MAX || spec.width > INT32_MAX) machine_.fail("a format's width is too large");
      spec.width = std::abs(spec.width);
    } else {
      spec.width = read_count(machine_, format_, at_);
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = read_count(machine_, format_, at_);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    spec.type = peek();
    ++at_;
    if (spec.type == '%') {
      out_ += '%';
      return;
    }
    out_ += convert(named ? *named : next(), spec);
  }

  std::string convert(const Value& value, Spec spec) {
    switch (spec.type) {
      case 's': return padded(machine_, cut(str(machine_, value), spec), spec, '>');
      case 'r':
      case 'a': return padded(machine_, cut(repr(machine_, value), spec), spec, '>');
      case 'c':
        if (value.is_whole() && value.whole() >= 0 && value.whole() <= 0x10FFFF) {
          return padded(machine_, from_points(std::u32string(1, static_cast<char32_t>(value.whole()))), spec, '>');
        }
        if (!value.is_text() || count_points(value.bytes()) != 1) machine_.fail("%c requires int or char");
        return padded(machine_, value.bytes(), spec, '>');
      default: break;
    }
    if (std::string_view("diuxXoeEfFgG").find(spec.type) == std::string_view::npos) machine_.fail("unsupported format character");
    if (!value.is_number()) machine_.fail(say({"a number is required in a format, not ", type_name(value)}));
    if (spec.zero && spec.align == '\0') {
      spec.align = '=';
      spec.fill = "0";
    }
    if (real_type(spec.type)) return padded(machine_, real_text(machine_, value.real(), spec), spec, '>');
    if (value.is<double>() && (spec.type == 'x' || spec.type == 'X' || spec.type == 'o')) machine_.fail("an integer is required in a format");
    if (value.is<double>() && !(std::abs(value.real()) < 9e18)) machine_.fail("a float is too large for an integer format");
    const Value number = value.is<double>() ? Value(static_cast<std::int64_t>(value.real())) : value;
    return padded(machine_, digits_at_least(whole_text(number, spec), spec), spec, '>');
  }

  /// Of an integer the precision is the least number of digits.
  std::string digits_at_least(std::string text, const Spec& spec) {
    const std::size_t sign = text.find_first_not_of("+- ");
    const auto wanted = static_cast<std::size_t>(spec.precision.value_or(0));
    if (wanted > static_cast<std::size_t>(kMaxPrecision)) machine_.fail("a format's precision is too large");
    if (text.size() - sign < wanted) text.insert(sign, std::string(wanted - (text.size() - sign), '0'));
    return text;
  }

  Machine& machine_;
  const std::string& format_;
  const Value& whole_;
  Values values_;
  std::size_t used_ = 0, at_ = 0;
  std::string out_;
};

}  // namespace

std::string format_percent(Machine& machine, const std::string& format, const Value& arguments) {
  return PercentFormat(machine, format, arguments).run();
}

std::string format_braces(Machine& machine, const std::string& format, const Args& args) { return BraceFormat(machine, args).run(format); }

}  // namespace troupe::jinja
