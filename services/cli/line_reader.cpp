#include "services/cli/line_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace troupe::cli {
namespace {
constexpr std::size_t kLongestLine = 1U << 20;
}

LineReader::Outcome LineReader::next(std::string& line) {
  line.clear();
  for (;;) {
    std::size_t end = buffer_.find('\n');
    const bool cut = end == std::string::npos && buffer_.size() >= kLongestLine;
    if (end != std::string::npos || cut) {
      if (cut) end = kLongestLine;
      line = buffer_.substr(0, end);
      buffer_.erase(0, cut ? end : end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return Outcome::line;
    }
    std::array<pollfd, 2> fds{{{input_, POLLIN, 0}, {interrupt_, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return Outcome::end;
    if (fds[1].revents != 0) {
      buffer_.clear();
      return Outcome::interrupted;
    }
    if (fds[0].revents == 0) continue;
    std::array<char, 4096> piece{};
    const ssize_t got = ::read(input_, piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got > 0) {
      buffer_.append(piece.data(), static_cast<std::size_t>(got));
      continue;
    }
    if (buffer_.empty()) return Outcome::end;
    line.swap(buffer_);
    return Outcome::line;
  }
}

}  // namespace troupe::cli
