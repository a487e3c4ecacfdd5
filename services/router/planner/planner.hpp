#pragma once
// Moves workers between prefill and decode when the load shifts: one worker at a time, from the role that has
// room to the one that has none, and only where the flip would not soon have to be undone.
//
// Pressure 1 is what a role may bear: prompts that wait prefill_queue in prefill, tokens that are itl apart
// in decode, or all of its slots or pages taken. Both are means over a role's workers, smoothed over
// `window`. Hysteresis: the receiving role is above `high`, the giving one below `low` and, spread over one
// worker less, still half way below `high`; after a flip nothing moves for `dwell`.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/wire/messages.hpp"
#include "services/router/planner/arrangement.hpp"

namespace troupe::router {

struct PlannerOptions {
  bool enabled = false;
  Duration window = std::chrono::seconds(10);
  Duration dwell = std::chrono::seconds(60);
  Duration drain_limit = std::chrono::seconds(30);  ///< then the worker changes beside what it still runs
  double high = 1.0, low = 0.5;
  Duration prefill_queue = std::chrono::seconds(1);
  Duration itl = std::chrono::milliseconds(100);
  bool arrange = false;  ///< else one of each role stays, and a cluster without the other stays so
  double clearly = 1.2;  ///< times better than the other an arrangement must be
  Duration traffic_window = std::chrono::seconds(60);
  double least_placements = 20;  ///< in that window, to say anything of traffic
};

/// What a worker says of itself, over all its models.
struct WorkerSample {
  NodeId node;
  std::string_view name;
  wire::Role role = wire::Role::decode;
  bool ready = true;
  TimePoint heard{};  ///< when it said the following
  std::uint64_t queued_prompt_tokens = 0;
  std::uint64_t prompt_tokens = 0, generated_tokens = 0;  ///< since it started
  std::uint32_t running = 0, waiting = 0;
  double pages_used = 0;  ///< by sequences, 0 to 1
};

struct Node;
/// None: neither prefill nor decode, or it has not told its load yet.
[[nodiscard]] std::optional<WorkerSample> sample_of(const Node& node);

struct RoleChange {
  NodeId node;
  wire::Role to = wire::Role::decode;
};

/// Plain: no clock, no messages. Threads: one. Cost: O(workers) a call.
class Planner {
 public:
  explicit Planner(const PlannerOptions& options)
      : options_(options), traffic_(options.traffic_window), judge_(options.clearly, options.dwell) {}

  /// A prompt was given to a worker that computes so much of it; `is_long`: a prefill worker would take it.
  void placed(double uncached_tokens, bool is_long, TimePoint now) {
    traffic_.placed(uncached_tokens, is_long, now);
  }
  /// With every member that is prefill or decode, at regular times. `costs`: what their steps take, once that
  /// is known.
  void observe(std::span<const WorkerSample> workers, const std::optional<StepCosts>& costs, TimePoint now);
  /// After observe() with the same workers. The change is to be sent once; until the worker is seen ready in
  /// its new role, or for too long is not, there is no other.
  [[nodiscard]] std::optional<RoleChange> decide(std::span<const WorkerSample> workers, TimePoint now);

  /// Of prefill or decode, smoothed.
  [[nodiscard]] double pressure(wire::Role role) const {
    return role == wire::Role::prefill ? prefill_ : decode_;
  }
  [[nodiscard]] bool changing() const { return changing_.has_value(); }

  /// What it thinks of two roles and hybrids, for those who ask.
  struct View {
    Arrangement verdict = Arrangement::unknown;
    Traffic traffic;
    StepCosts costs;
    std::uint32_t workers = 0;
    std::optional<Comparison> comparison;  ///< none: too little was seen
  };
  [[nodiscard]] const View& view() const { return view_; }

 private:
  struct Known {  // of a worker
    TimePoint at;
    std::uint64_t prompt_tokens = 0, generated_tokens = 0, queued = 0;
    std::uint32_t running = 0;
    double prompt_rate = 0;    // tokens per second while some wait; 0: not measured
    double seconds_apart = 0;  // between two tokens of a stream
  };
  struct Changing {
    RoleChange what;
    TimePoint since;
  };
  void learn(std::span<const WorkerSample> workers, TimePoint now);
  [[nodiscard]] double pressure_of(const WorkerSample& worker) const;
  [[nodiscard]] double mean_pressure(std::span<const WorkerSample> workers, wire::Role role) const;
  [[nodiscard]] bool settle(std::span<const WorkerSample> workers, TimePoint now);
  void compare_arrangements(std::span<const WorkerSample> workers, const StepCosts& costs, TimePoint now);
  [[nodiscard]] std::optional<RoleChange> rearrange(std::span<const WorkerSample> workers) const;
  [[nodiscard]] std::optional<RoleChange> move(std::span<const WorkerSample> workers, wire::Role from,
                                               wire::Role to) const;

  PlannerOptions options_;
  std::map<NodeId, Known> known_;
  double prefill_ = 0, decode_ = 0;
  std::optional<TimePoint> last_;         // call
  std::optional<TimePoint> quiet_since_;  // the last change's end, or the first call
  std::optional<Changing> changing_;
  TrafficMeter traffic_;
  ArrangementJudge judge_;
  View view_;
};

}  // namespace troupe::router
