#pragma once
// The terminal behind `troupe top`: its size, the alternate screen, single keys, and waiting for any of them.
#include <termios.h>

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/terminal/interrupt.hpp"

namespace troupe::cli::top {

struct ScreenSize {
  std::size_t width = 80, height = 24;
};
/// Of the terminal behind `fd`; else what COLUMNS and LINES would be on an old one.
[[nodiscard]] ScreenSize screen_size(int fd);

/// `frame` over what the screen shows, without flicker: every line ends by clearing what was longer.
[[nodiscard]] std::string redrawn(std::string_view frame);

/// The alternate screen, without cursor, until it ends.
class AlternateScreen {
 public:
  explicit AlternateScreen(std::ostream& out);
  ~AlternateScreen();
  AlternateScreen(const AlternateScreen&) = delete;
  AlternateScreen& operator=(const AlternateScreen&) = delete;

 private:
  std::ostream& out_;
};

/// Ctrl-C, keys of `input` (when that is a terminal) and a clock, as one descriptor that is readable when one
/// of them has something. Threads: one; one at a time in a process.
class Wakeups {
 public:
  explicit Wakeups(int input);
  ~Wakeups();
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;

  [[nodiscard]] int fd() const { return epoll_; }
  /// Ticks from now on, every `interval` (over 0); what it ticked before is forgotten.
  void start_clock(Duration interval) { set_clock(interval); }
  void stop_clock() { set_clock(Duration::zero()); }
  /// Ctrl-C or q.
  [[nodiscard]] bool asked_to_end();
  /// Whether the clock has ticked since the last call.
  [[nodiscard]] bool ticked();
  /// Until one of them has something.
  void wait() const;

 private:
  void set_clock(Duration interval);

  InterruptSource interrupt_;
  int input_;
  int epoll_ = -1;
  int timer_ = -1;
  bool raw_ = false;
  termios before_{};
};

}  // namespace troupe::cli::top
