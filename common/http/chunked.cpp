#include "common/http/chunked.hpp"

#include <algorithm>
#include <charconv>

namespace troupe {
namespace {
constexpr std::size_t kLongestLine = 8192;
constexpr std::uint64_t kLargestChunk = 1ULL << 30;
}  // namespace

Expected<std::string> ChunkedDecoder::feed(std::string_view bytes) {
  std::string body;
  while (!bytes.empty() && state_ != State::finished) {
    if (state_ == State::data) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      body.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      left_ -= take;
      if (left_ == 0) state_ = State::data_end;
      continue;
    }
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (c != '\n') {
      line_.push_back(c);
      if (line_.size() > kLongestLine)
        return fail(Errc::wire_malformed, "a line of the chunked coding is too long");
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    if (state_ == State::size_line) {
      TROUPE_TRY(end_size_line());
    } else if (state_ == State::data_end) {
      if (!line_.empty()) return fail(Errc::wire_malformed, "a chunk is longer than its size says");
      state_ = State::size_line;
    } else if (line_.empty()) {
      state_ = State::finished;  // the empty line after the trailer
    }
    line_.clear();
  }
  return body;
}

Expected<void> ChunkedDecoder::end_size_line() {
  const std::string_view digits = std::string_view(line_).substr(0, line_.find_first_of("; \t"));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || left_ > kLargestChunk)
    return fail(Errc::wire_malformed,
                "found chunk size \"" + line_.substr(0, 32) + "\", expected hex digits");
  state_ = left_ == 0 ? State::trailer : State::data;
  return {};
}

}  // namespace troupe
