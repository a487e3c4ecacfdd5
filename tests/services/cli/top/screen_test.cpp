#include "services/cli/top/screen.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>

namespace troupe::cli::top {
namespace {

using namespace std::chrono_literals;

TEST(Screen, RedrawsWithoutScrollingAndClearsWhatWasLonger) {
  EXPECT_EQ(redrawn("a\nbc\n"), "\x1b[Ha\x1b[K\r\nbc\x1b[K\x1b[J");
  EXPECT_EQ(redrawn(""), "\x1b[H\x1b[J");
}

TEST(Screen, HasAnOldTerminalsSizeWhereThereIsNone) {
  EXPECT_EQ(screen_size(-1).width, 80U);
  EXPECT_EQ(screen_size(-1).height, 24U);
}

TEST(Screen, TheAlternateOneIsLeftAgain) {
  std::ostringstream out;
  { const AlternateScreen screen(out); }
  EXPECT_EQ(out.str(), "\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l");
}

TEST(Wakeups, TheClockTicksWhileItRuns) {
  Wakeups wakeups(-1);
  EXPECT_FALSE(wakeups.ticked());
  wakeups.start_clock(1ms);
  wakeups.wait();
  EXPECT_TRUE(wakeups.ticked());
  wakeups.wait();
  wakeups.stop_clock();
  EXPECT_FALSE(wakeups.ticked()) << "what was ticked before it was stopped is forgotten";
  EXPECT_FALSE(wakeups.asked_to_end());
}

TEST(Wakeups, AnInterruptAsksToEnd) {
  Wakeups wakeups(-1);
  ::raise(SIGINT);
  wakeups.wait();
  EXPECT_TRUE(wakeups.asked_to_end());
}

TEST(Wakeups, OfTheKeysOnlyQEnds) {
  const int keyboard = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (keyboard < 0 || ::grantpt(keyboard) != 0 || ::unlockpt(keyboard) != 0)
    GTEST_SKIP() << "no terminals here";
  const int terminal = ::open(::ptsname(keyboard), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  termios before{}, during{}, after{};
  ASSERT_EQ(::tcgetattr(terminal, &before), 0);
  {
    Wakeups wakeups(terminal);
    ASSERT_EQ(::tcgetattr(terminal, &during), 0);
    EXPECT_EQ(during.c_lflag & (ICANON | ECHO), 0U);
    ASSERT_EQ(::write(keyboard, "x", 1), 1);
    wakeups.wait();
    EXPECT_FALSE(wakeups.asked_to_end());
    ASSERT_EQ(::write(keyboard, "q", 1), 1);
    wakeups.wait();
    EXPECT_TRUE(wakeups.asked_to_end());
  }
  ASSERT_EQ(::tcgetattr(terminal, &after), 0);
  EXPECT_EQ(after.c_lflag, before.c_lflag) << "the terminal is as it was";
  ::close(terminal);
  ::close(keyboard);
}

}  // namespace
}  // namespace troupe::cli::top
