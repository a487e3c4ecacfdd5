#pragma once
// Structured logs (spdlog wall): one line of `time level role event key=value ...` on stderr, or JSON.
// A prompt or an answer is never a field. Threads: any.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace troupe::log {

enum class Level : std::uint8_t { debug, info, warn, error, off };

struct Options {
  Level level = Level::info;
  bool json = false;
  std::string role = "troupe";  ///< names the process in every line
};

/// One `key=value` of a line; numbers and text are both kept as text.
struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Field(std::string_view k, Number v) : key(k), value(std::to_string(v)) {}
};

void configure(const Options& options);
[[nodiscard]] bool enabled(Level level);
/// `event` is a fixed phrase such as "worker joined"; what varies goes into fields.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::info, event, fields); }
inline void warn(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::warn, event, fields); }
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) { write(Level::error, event, fields); }

}  // namespace troupe::log
