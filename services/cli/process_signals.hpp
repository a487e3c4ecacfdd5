#pragma once
// The signals of a role's process as something to wait for: SIGTERM and SIGINT end it, SIGHUP asks for its
// configuration to be read again.
#include <chrono>
#include <csignal>

namespace troupe::cli {

enum class ProcessSignal { stop, reload };

/// Made before any thread, which then inherits the mask. Threads: one waits.
class ProcessSignals {
 public:
  ProcessSignals();
  ProcessSignals(const ProcessSignals&) = delete;
  ProcessSignals& operator=(const ProcessSignals&) = delete;

  /// Whether a signal to stop came within `wait`. A SIGHUP is kept for next().
  [[nodiscard]] bool stops_within(std::chrono::milliseconds wait) const;
  /// Waits for one. A SIGHUP because the terminal is gone is a stop: whoever closes a window means that.
  [[nodiscard]] ProcessSignal next() const;
  /// From now on a signal ends the process at once: a drain must not hold a person up who insists.
  void let_through() const;

 private:
  sigset_t stops_{}, all_{};
  bool on_terminal_;
};

}  // namespace troupe::cli
