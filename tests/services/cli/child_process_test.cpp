#include "services/cli/child_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace troupe::cli {
namespace {

Expected<void> shell(const std::string& script, ChildOptions options = {}) {
  return run_child({"/bin/sh", "-c", script}, options);
}

TEST(ChildProcess, ReportsHowAProgramEnded) {
  EXPECT_TRUE(shell("exit 0"));
  EXPECT_EQ(shell("exit 3").error().detail, "/bin/sh: found exit code 3, expected exit code 0");
  EXPECT_EQ(shell("kill -9 $$").error().detail, "/bin/sh: found signal 9, expected exit code 0");
  EXPECT_EQ(run_child({"/no/such/program"}, {}).error().detail,
            "/no/such/program: found exit code 127, expected exit code 0");
}

TEST(ChildProcess, GivesExactlyTheEnvironment) {
  ChildOptions options;
  options.environment = {{"ONE", "1 2"}};
  EXPECT_TRUE(shell("test \"$ONE\" = '1 2' && test -z \"$HOME\"", options));
}

TEST(ChildProcess, HasNoInputAndNoInheritedDescriptors) {
  const int fd = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC on purpose
  ASSERT_GT(fd, 2);
  EXPECT_TRUE(shell("test ! -e /proc/self/fd/" + std::to_string(fd) + " && ! read line"));
  ::close(fd);
}

TEST(ChildProcess, CanHaveAGroupOfItsOwn) {
  ChildOptions options;
  options.own_group = true;
  // Field 5 of stat is the group, field 1 the process.
  EXPECT_TRUE(shell("set -- $(cat /proc/$$/stat); test \"$5\" = \"$1\"", options));
}

TEST(ChildProcess, DiesWithItsParent) {
  // Not through a shell, which may fork: only the child itself is bound to us.
  // A parent that starts a child which would wait for ever, tells its pid and dies.
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto child = start_child({"sleep", "1000"}, {});
    const pid_t pid = child ? *child : -1;
    (void)!::write(pipe[1], &pid, sizeof pid);
    ::_exit(0);
  }
  ::close(pipe[1]);
  pid_t child = -1;
  ASSERT_EQ(::read(pipe[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ::waitpid(parent, nullptr, 0);
  // The write end is gone from the child too (closed on exec or by its death), so this waits for exec or
  // death, not for ever.
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 0);
  ::close(pipe[0]);
  ASSERT_GT(child, 0);
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (handle < 0) return;  // already gone
  pollfd entry{handle, POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 10'000), 1) << "it lives on";  // readable once it has ended
  ::kill(child, SIGKILL);
  ::close(handle);
}

}  // namespace
}  // namespace troupe::cli
