#include "common/terminal/interrupt.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>

namespace troupe {
namespace {

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST(InterruptSource, TurnsASignalIntoAReadableDescriptor) {
  const InterruptSource source;
  EXPECT_FALSE(readable(source.fd()));
  ::raise(SIGINT);
  ::raise(SIGINT);
  EXPECT_TRUE(readable(source.fd()));
  source.clear();
  EXPECT_FALSE(readable(source.fd()));
}

TEST(InterruptSource, PutsTheHandlerBeforeBack) {
  std::signal(SIGINT, SIG_IGN);
  { const InterruptSource source; }
  EXPECT_EQ(std::signal(SIGINT, SIG_DFL), SIG_IGN);
}

}  // namespace
}  // namespace troupe
