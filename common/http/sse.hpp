#pragma once
// Server-sent events, fed in pieces of any size (HTML living standard, section 9.2; `event` and `data` lines,
// the rest is skipped).
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

struct SseEvent {
  std::string name;  ///< "message" when the stream gives none
  std::string data;
};

class SseParser {
 public:
  /// The events that `bytes` completes, in order. Errors: wire_malformed when an event passes 1 MiB.
  [[nodiscard]] Expected<std::vector<SseEvent>> events(std::string_view bytes);
  /// The same for streams whose events are all of one kind: their data. Errors: as above.
  [[nodiscard]] Expected<std::vector<std::string>> feed(std::string_view bytes);

 private:
  void end_line(std::vector<SseEvent>& events);
  std::string line_;
  std::string name_;
  std::string data_;
  bool has_data_ = false;
  bool after_return_ = false;
};

}  // namespace troupe
