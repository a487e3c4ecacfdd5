#include "common/terminal/interrupt.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "common/base/error.hpp"

namespace troupe {
namespace {

std::atomic<int> g_event_fd{-1};  // the handler has no other way to it
struct sigaction g_before;

void on_interrupt(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  const int fd = g_event_fd.load();
  if (fd >= 0) (void)!::write(fd, &one, sizeof one);
  errno = saved;
}

}  // namespace

InterruptSource::InterruptSource() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  TROUPE_CHECK(fd_ >= 0, "eventfd");
  TROUPE_CHECK(g_event_fd.exchange(fd_) == -1, "one InterruptSource at a time");
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &g_before);
}

InterruptSource::~InterruptSource() {
  ::sigaction(SIGINT, &g_before, nullptr);
  g_event_fd.store(-1);
  ::close(fd_);
}

void InterruptSource::clear() const {
  std::uint64_t count = 0;
  (void)!::read(fd_, &count, sizeof count);
}

}  // namespace troupe
