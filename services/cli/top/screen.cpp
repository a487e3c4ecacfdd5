#include "services/cli/top/screen.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>

#include "common/base/error.hpp"

namespace troupe::cli::top {
namespace {

bool readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) > 0;
}

}  // namespace

ScreenSize screen_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

std::string redrawn(std::string_view frame) {
  std::string out = "\x1b[H";
  while (!frame.empty()) {
    const std::size_t end = frame.find('\n');
    out.append(frame.substr(0, end)).append("\x1b[K");
    if (end == std::string_view::npos) break;
    frame.remove_prefix(end + 1);
    if (!frame.empty()) out += "\r\n";  // not after the last line: the screen would scroll
  }
  return out + "\x1b[J";
}

AlternateScreen::AlternateScreen(std::ostream& out) : out_(out) {
  out_ << "\x1b[?1049h\x1b[?25l" << std::flush;
}

AlternateScreen::~AlternateScreen() {
  out_ << "\x1b[?25h\x1b[?1049l" << std::flush;
}

Wakeups::Wakeups(int input)
    : input_(input),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  TROUPE_CHECK(epoll_ >= 0 && timer_ >= 0, "no descriptors to wait with");
  for (const int fd : {interrupt_.fd(), timer_}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    TROUPE_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
  }
  if (::isatty(input_) != 1 || ::tcgetattr(input_, &before_) != 0) return;
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // Ctrl-C stays a signal
  raw_ = ::tcsetattr(input_, TCSANOW, &keys) == 0;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = input_;
  if (raw_ && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, input_, &event) != 0) {
    ::tcsetattr(input_, TCSANOW, &before_);
    raw_ = false;
  }
}

Wakeups::~Wakeups() {
  if (raw_) ::tcsetattr(input_, TCSANOW, &before_);
  ::close(timer_);
  ::close(epoll_);
}

void Wakeups::set_clock(Duration interval) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(interval);
  itimerspec every{};
  every.it_interval.tv_sec = whole.count();
  every.it_interval.tv_nsec = (interval - whole).count();
  every.it_value = every.it_interval;
  TROUPE_CHECK(::timerfd_settime(timer_, 0, &every, nullptr) == 0, "an interval that no clock ticks at");
}

bool Wakeups::asked_to_end() {
  if (readable(interrupt_.fd())) return true;
  if (!raw_ || !readable(input_)) return false;
  std::array<char, 64> keys{};
  const ssize_t got = ::read(input_, keys.data(), keys.size());
  if (got <= 0) return true;  // the terminal is gone
  return std::any_of(keys.begin(), keys.begin() + got, [](char key) { return key == 'q' || key == 'Q'; });
}

bool Wakeups::ticked() {
  std::uint64_t ticks = 0;
  return ::read(timer_, &ticks, sizeof ticks) == sizeof ticks && ticks > 0;
}

void Wakeups::wait() const {
  pollfd wanted{epoll_, POLLIN, 0};
  (void)::poll(&wanted, 1, -1);
}

}  // namespace troupe::cli::top
