#include "services/cli/child_process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace troupe::cli {
namespace {

/// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(char* const* arguments, char* const* environment, const ChildOptions& options,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  if (options.own_group) ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::signal(number, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (options.output_to_error) ::dup2(STDERR_FILENO, STDOUT_FILENO);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execvpe(arguments[0], arguments, environment);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

Expected<pid_t> start_child(const std::vector<std::string>& arguments, const ChildOptions& options) {
  TROUPE_CHECK(!arguments.empty(), "a program to start");
  std::vector<std::string> argument_texts = arguments;
  std::vector<std::string> environment_texts;
  for (const auto& [key, value] : options.environment) environment_texts.push_back(key + "=" + value);
  const std::vector<char*> argument_list = pointers(argument_texts);
  const std::vector<char*> environment_list = pointers(environment_texts);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(argument_list.data(), environment_list.data(), options, parent);
  if (child < 0) return fail(Errc::io_failed, arguments[0] + ": fork: " + std::strerror(errno));
  return child;
}

ExitStatus exit_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {0, WTERMSIG(wait_status)};
  return {WEXITSTATUS(wait_status), 0};
}

std::string to_string(const ExitStatus& status) {
  if (status.signal != 0) return std::string("signal ").append(std::to_string(status.signal));
  return std::string("exit code ").append(std::to_string(status.code));
}

Expected<void> run_child(const std::vector<std::string>& arguments, const ChildOptions& options) {
  const auto child = start_child(arguments, options);
  if (!child) return tl::unexpected<Error>(child.error());
  int wait_status = 0;
  while (::waitpid(*child, &wait_status, 0) < 0)
    if (errno != EINTR) return fail(Errc::io_failed, std::string("waitpid: ") + std::strerror(errno));
  const ExitStatus status = exit_status(wait_status);
  if (status.code == 0 && status.signal == 0) return {};
  return fail(Errc::io_failed, arguments[0] + ": found " + to_string(status) + ", expected exit code 0");
}

}  // namespace troupe::cli
