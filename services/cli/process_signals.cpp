#include "services/cli/process_signals.hpp"

#include <unistd.h>

namespace troupe::cli {

ProcessSignals::ProcessSignals() : on_terminal_(::isatty(STDIN_FILENO) != 0) {
  sigemptyset(&stops_);
  sigaddset(&stops_, SIGTERM);
  sigaddset(&stops_, SIGINT);
  all_ = stops_;
  sigaddset(&all_, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &all_, nullptr);
}

bool ProcessSignals::stops_within(std::chrono::milliseconds wait) const {
  const timespec time{wait.count() / 1000, (wait.count() % 1000) * 1000000};
  return sigtimedwait(&stops_, nullptr, &time) > 0;
}

ProcessSignal ProcessSignals::next() const {
  int signal = 0;
  while (sigwait(&all_, &signal) != 0) {
  }
  const bool hung_up = on_terminal_ && ::isatty(STDIN_FILENO) == 0;
  return signal == SIGHUP && !hung_up ? ProcessSignal::reload : ProcessSignal::stop;
}

void ProcessSignals::let_through() const {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) std::signal(signal, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &all_, nullptr);
}

}  // namespace troupe::cli
