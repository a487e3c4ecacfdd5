#pragma once
// Which line of which batch runs next: so many at a time, owners in turn, each batch in the order that was
// planned for it. Lines that the cluster refuses run again after a pause, and fewer run at a time until it
// takes them again.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::gateway {

struct ScheduleOptions {
  std::size_t most_running = 16;
  Duration first_pause = std::chrono::milliseconds(500);  ///< doubles with each refusal in turn
  Duration longest_pause = std::chrono::seconds(30);
};

struct LineRef {
  std::int64_t batch = 0;  ///< its serial
  std::int64_t line = 0;
  auto operator<=>(const LineRef&) const = default;
};

/// No clock: calls are told the time. Threads: one at a time.
class LineSchedule {
 public:
  explicit LineSchedule(const ScheduleOptions& options)
      : options_(options), limit_(static_cast<double>(options.most_running)), pause_(options.first_pause) {}

  /// A batch with lines to run. `serial`: earlier batches of an owner go first.
  void add(std::int64_t serial, const RequestId& owner);
  /// Nothing more of it begins. What runs still counts until it has ended.
  void remove(std::int64_t serial);
  /// Lines of a batch in the order they are to run, behind those that wait.
  void plan(std::int64_t serial, std::span<const std::int64_t> lines);

  /// The line that begins now; none: nothing may, or nothing waits.
  [[nodiscard]] std::optional<LineRef> next(TimePoint now);
  /// It has a result, or needs none any more.
  void ended(const LineRef& line);
  /// The cluster did not take it: it waits again, before others of its batch. `at_least`: what it asked for.
  void refused(const LineRef& line, TimePoint now, Duration at_least = {});

  /// Planned lines of a batch that wait.
  [[nodiscard]] std::size_t waiting(std::int64_t serial) const;
  [[nodiscard]] std::size_t running(std::int64_t serial) const;
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t running() const { return running_; }
  /// Before this next() gives nothing, whatever waits.
  [[nodiscard]] TimePoint paused_until() const { return paused_until_; }
  /// Lines that may run at a time now.
  [[nodiscard]] std::size_t limit() const { return static_cast<std::size_t>(limit_); }

 private:
  struct Share {
    std::size_t running = 0;
    std::uint64_t served = 0;  ///< when it was served last, in turns
  };
  struct Entry {
    RequestId owner;
    std::deque<std::int64_t> waiting;
    std::size_t running = 0;
    bool removed = false;
  };
  void leave(const LineRef& line);

  const ScheduleOptions options_;
  std::map<std::int64_t, Entry> batches_;
  std::map<RequestId, Share> shares_;
  std::size_t running_ = 0;
  std::uint64_t turn_ = 0;
  double limit_;
  Duration pause_;
  TimePoint paused_until_{};
};

}  // namespace troupe::gateway
