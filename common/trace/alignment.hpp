#pragma once
// One timeline of many clocks. No process sends its clock's reading: it tells when something happened after
// the order for it had come, and how long ago that was when its message left (`age`). Who gave the order
// knows when it left and when the message came, by its own clock:
//
//   here      sent ──────────────────────────────────────────── received
//                  ╲ on the way                      on the way ╱
//   there           heard ──── start ── end ─────────── said            age = said - heard
//
// The order came at some moment of [sent, received - age]: an interval as wide as both ways took together,
// whatever the two clocks show. The middle is taken, so a span is misplaced by at most half of what the round
// trip took beside the work itself (on one machine tens of microseconds), and never lies before its order or
// behind its report. Everything that one order tells later is placed by that same moment, so spans of one
// order nest exactly; clocks that run at different speeds move its later ones by their difference.
//
// An order that comes of another (decode worker to prefill worker) is placed by who gave it and passed on, so
// errors add up along the way and a child lies within its parent.
#include <algorithm>
#include <cstdint>

#include "common/base/clock.hpp"

namespace troupe::trace {

/// An age as a message claims it, as far as it can be true.
[[nodiscard]] inline Duration possible_age(TimePoint sent, TimePoint received, std::int64_t age_ns) {
  return std::clamp(Duration(age_ns), Duration::zero(), std::max(Duration::zero(), received - sent));
}

/// When an order that left at `sent` came to who answers, by the clock here; its answer came at `received`
/// and says that the order was `age` old.
[[nodiscard]] inline TimePoint heard_at(TimePoint sent, TimePoint received, Duration age) {
  return sent + std::max(Duration::zero(), received - sent - age) / 2;
}

}  // namespace troupe::trace
