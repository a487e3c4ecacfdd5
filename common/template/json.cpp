// json.dumps() as Hugging Face's tojson calls it: no HTML escapes, order kept, Python's separators.
#include <array>
#include <cmath>
#include <cstdio>

#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Machine& machine, const JsonStyle& style) : machine_(machine), style_(style) {}

  void write(const Value& value) {
    const Machine::Deeper deeper(machine_);
    machine_.step();
    if (value.is_none()) {
      out += "null";
    } else if (value.is<bool>()) {
      out += value.as<bool>() ? "true" : "false";
    } else if (value.is_number()) {
      out += number(value);
    } else if (value.is_text()) {
      write_text(value.bytes());
    } else if (value.is_list() && value.as<ListPtr>()->kind <= ListKind::tuple) {
      write_list(value.as<ListPtr>()->items);
    } else if (value.is_dict()) {
      write_dict(*value.as<DictPtr>());
    } else {
      machine_.fail(say({"object of type ", type_name(value), " is not JSON serializable"}));
    }
    machine_.fits(out.size());
  }

  std::string out;

 private:
  static std::string number(const Value& value) {
    if (value.is<std::int64_t>()) return std::to_string(value.as<std::int64_t>());
    const double real = value.as<double>();
    if (std::isnan(real)) return "NaN";
    if (std::isinf(real)) return real < 0 ? "-Infinity" : "Infinity";
    return float_repr(real);
  }

  void write_escape(char32_t unit) {
    std::array<char, 16> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "\\u%04x", static_cast<unsigned>(unit));
    out += buffer.data();
  }

  void write_text(std::string_view bytes) {
    static constexpr std::string_view kNamed = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    machine_.grow(bytes.size());
    out += '"';
    for (std::size_t at = 0; at < bytes.size();) {
      const char32_t point = next_point(bytes, at);
      const std::size_t named = point < 0x80 ? kNamed.find(static_cast<char>(point)) : std::string_view::npos;
      if (named != std::string_view::npos) {
        out += '\\';
        out += kLetters[named];
      } else if (point < 0x20 || (style_.ascii && point > 0x7E && point < 0x10000)) {
        write_escape(point);
      } else if (style_.ascii && point >= 0x10000) {
        write_escape(0xD800 + ((point - 0x10000) >> 10));
        write_escape(0xDC00 + ((point - 0x10000) & 0x3FF));
      } else {
        append_point(out, point);
      }
    }
    out += '"';
  }

  void new_line() {
    if (!style_.indent) return;
    machine_.fits(out.size() + style_.indent->size() * level_);
    machine_.step(style_.indent->size() * level_ / 256);
    out += '\n';
    for (std::size_t i = 0; i < level_; ++i) out += *style_.indent;
  }

  void write_list(const Values& items) {
    if (items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    ++level_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line();
      write(items[i]);
    }
    --level_;
    new_line();
    out += ']';
  }

  std::string key_text(const Value& key) {
    if (key.is_text()) return key.bytes();
    if (key.is_none()) return "null";
    if (key.is<bool>()) return key.as<bool>() ? "true" : "false";
    if (key.is_number()) return number(key);
    machine_.fail(say({"keys must be str, int, float, bool or None, not ", type_name(key)}));
  }

  void write_dict(const Dict& dict) {
    if (dict.entries.empty()) {
      out += "{}";
      return;
    }
    Values keys, values;
    for (const auto& [key, value] : dict.entries) {
      keys.push_back(key);
      values.push_back(value);
    }
    if (style_.sort_keys) {
      values = sorted(machine_, values, keys, false);
      keys = sorted(machine_, keys, keys, false);
    }
    out += '{';
    ++level_;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (i > 0) out += style_.item_separator;
      new_line();
      write_text(key_text(keys[i]));
      out += style_.key_separator;
      write(values[i]);
    }
    --level_;
    new_line();
    out += '}';
  }

  Machine& machine_;
  const JsonStyle& style_;
  std::size_t level_ = 0;
};

}  // namespace

std::string to_json(Machine& machine, const Value& value, const JsonStyle& style) {
  JsonWriter writer(machine, style);
  writer.write(value);
  return std::move(writer.out);
}

}  // namespace troupe::jinja
