#pragma once
// Ctrl-C as a readable descriptor, so that a wait for a socket or a line can end with it.

namespace troupe {

/// While one lives, SIGINT makes fd() readable instead of ending the process; the handler before is put back
/// at its end. Threads: one at a time in a process.
class InterruptSource {
 public:
  InterruptSource();
  ~InterruptSource();
  InterruptSource(const InterruptSource&) = delete;
  InterruptSource& operator=(const InterruptSource&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  void clear() const;  ///< forgets interrupts so far

 private:
  int fd_ = -1;
};

}  // namespace troupe
