#pragma once
// Lines from a descriptor, with Ctrl-C as an answer of its own.
#include <cstdint>
#include <string>

namespace troupe::cli {

class LineReader {
 public:
  enum class Outcome : std::uint8_t { line, interrupted, end };

  LineReader(int input_fd, int interrupt_fd) : input_(input_fd), interrupt_(interrupt_fd) {}

  /// The next line without its end. A last line without one counts; a line over 1 MiB is cut into several.
  /// After `interrupted` what was read of the line is dropped. Blocks until one of the three.
  [[nodiscard]] Outcome next(std::string& line);

 private:
  int input_;
  int interrupt_;
  std::string buffer_;
};

}  // namespace troupe::cli
