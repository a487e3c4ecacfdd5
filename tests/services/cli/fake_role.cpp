// Plays one role for the supervisor's tests: writes what happens to it as lines of FAKE_ROLE_LOG.
//   <role> flags...   ready at once; ends with 0 on SIGTERM
// FAKE_ROLE_DIE_ONCE=<role>: its first life ends with code 7 before it is ready (a file beside the log
// remembers). FAKE_ROLE_BAD=<role>: ends with code 2. FAKE_ROLE_DEAF=<role>: ignores SIGTERM.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "services/cli/notify.hpp"

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void log_line(const std::string& line) {
  const int fd = ::open(variable("FAKE_ROLE_LOG").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string text = line + "\n";
  (void)!::write(fd, text.data(), text.size());
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  std::string start = "start";
  for (int i = 1; i < argc; ++i) start += std::string(" ") + argv[i];
  log_line(start);
  if (role == variable("FAKE_ROLE_BAD")) return 2;
  const std::string mark = variable("FAKE_ROLE_LOG") + ".died";
  if (role == variable("FAKE_ROLE_DIE_ONCE") && ::access(mark.c_str(), F_OK) != 0) {
    ::close(::open(mark.c_str(), O_WRONLY | O_CREAT, 0600));
    return 7;
  }
  troupe::cli::notify_ready();
  for (;;) {
    int number = 0;
    ::sigwait(&wanted, &number);
    if (role == variable("FAKE_ROLE_DEAF")) continue;
    log_line("stop " + role);
    return 0;
  }
}
