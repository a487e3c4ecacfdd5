#include "common/http/sse.hpp"

#include <utility>

namespace troupe {
namespace {
constexpr std::size_t kLargestEvent = 1U << 20;
}

Expected<std::vector<SseEvent>> SseParser::events(std::string_view bytes) {
  std::vector<SseEvent> events;
  for (const char c : bytes) {
    // A line ends with LF, CR or CRLF; the LF of a CRLF may come in the next piece.
    const bool second_half = c == '\n' && after_return_;
    after_return_ = c == '\r';
    if (second_half) continue;
    if (c == '\n' || c == '\r') {
      end_line(events);
    } else {
      line_.push_back(c);
    }
    if (line_.size() + data_.size() + name_.size() > kLargestEvent)
      return fail(Errc::wire_malformed, "an event is over " + std::to_string(kLargestEvent) + " bytes");
  }
  return events;
}

Expected<std::vector<std::string>> SseParser::feed(std::string_view bytes) {
  auto all = events(bytes);
  if (!all) return tl::unexpected<Error>(std::move(all.error()));
  std::vector<std::string> data;
  data.reserve(all->size());
  for (SseEvent& event : *all) data.push_back(std::move(event.data));
  return data;
}

void SseParser::end_line(std::vector<SseEvent>& events) {
  if (line_.empty()) {
    if (has_data_) events.push_back({name_.empty() ? std::string("message") : name_, data_});
    name_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const std::string_view line = line_;
  const std::size_t colon = line.find(':');
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (line.substr(0, colon) == "event") {
    name_ = value;
  } else if (line.substr(0, colon) == "data") {  // not comments, ids, times to wait
    if (has_data_) data_.push_back('\n');
    data_.append(value);
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace troupe
