#include "services/cli/process_signals.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace troupe::cli {
namespace {

using namespace std::chrono_literals;

/// Runs `body` in a process of its own, whose signals are its own; its exit code.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // a wait that does not end is a failure
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(ProcessSignals, AHangUpAsksForTheConfigurationAndTheOthersStop) {
  EXPECT_EQ(in_child([] {
              const int null = ::open("/dev/null", O_RDONLY);
              ::dup2(null, STDIN_FILENO);
              const ProcessSignals signals;
              ::raise(SIGHUP);
              if (signals.stops_within(0ms)) return 1;
              if (signals.next() != ProcessSignal::reload) return 2;
              ::raise(SIGTERM);
              if (signals.next() != ProcessSignal::stop) return 3;
              ::raise(SIGINT);
              if (!signals.stops_within(10s)) return 4;
              return signals.stops_within(0ms) ? 5 : 0;
            }),
            0);
}

TEST(ProcessSignals, AHangUpOfATerminalThatIsGoneStops) {
  EXPECT_EQ(in_child([] {
              const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
              if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return 1;
              const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
              ::dup2(terminal, STDIN_FILENO);
              const ProcessSignals signals;
              ::raise(SIGHUP);
              if (signals.next() != ProcessSignal::reload) return 2;
              ::close(master);
              ::raise(SIGHUP);
              return signals.next() == ProcessSignal::stop ? 0 : 3;
            }),
            0);
}

TEST(ProcessSignals, LetThroughTheyEndTheProcess) {
  EXPECT_EQ(in_child([] {
              const ProcessSignals signals;
              signals.let_through();
              ::raise(SIGTERM);
              return 0;
            }),
            1000 + SIGTERM);
}

}  // namespace
}  // namespace troupe::cli
