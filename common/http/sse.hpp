#pragma once
// Server-sent events, fed in pieces of any size (HTML living standard, section 9.2; `data` lines only, the
// rest is skipped).
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

class SseParser {
 public:
  /// The data of the events that `bytes` completes, in order. Errors: wire_malformed when an event passes 1
  /// MiB.
  [[nodiscard]] Expected<std::vector<std::string>> feed(std::string_view bytes);

 private:
  void end_line(std::vector<std::string>& events);
  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_return_ = false;
};

}  // namespace troupe
