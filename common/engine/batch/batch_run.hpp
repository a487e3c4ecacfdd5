#pragma once
// Offline requests through an engine, for throughput: grouped by explicit prefixes, in the order of order_groups, as many at a
// time as the KV pages hold [Zheng et al. 2024, BatchLLM, arXiv:2412.03594]. A group's prefix is computed once, as a request
// that generates nothing; its pages stay until the last member ends.
//
//   BatchRun run(engine, requests, {}, on_event);
//   while (!run.done()) { run.feed(); run.take(engine.step()); }
//
// The engine may serve others beside it: the batch's requests have a low priority and only their own events are taken.
#include <functional>
#include <map>
#include <vector>

#include "common/engine/batch/prefix_groups.hpp"
#include "common/engine/engine.hpp"

namespace troupe::engine {

struct BatchOptions {
  std::uint32_t kv_pages = 0;      ///< most pages of the batch, prefixes and whole answers counted; 0: all of the engine's
  std::int32_t priority = -1;      ///< of every request: below the ones somebody waits for
  bool share_prefixes = true;      ///< false: plain order of arrival, nothing is pinned
};

struct BatchCounts {
  std::uint32_t groups = 0;         ///< with a prefix
  std::uint64_t saved_tokens = 0;   ///< prompt tokens the grouping spares
  std::uint64_t computed_tokens = 0;  ///< prompt tokens left to compute
  std::uint32_t finished = 0;       ///< requests
  std::uint32_t pages = 0;          ///< promised to prefixes and members now
};

/// Threads: the engine's owner. Must go before the engine does; what is unfinished then is cancelled.
class BatchRun {
 public:
  /// `job`: index of the request in the order given. Every job ends by an event with a finish for each of its choices; one the
  /// engine refuses ends with `error` for its first.
  using OnEvent = std::function<void(std::size_t job, const TokenEvent& event)>;
  /// Request ids must differ, from each other and from the engine's other requests.
  BatchRun(Engine& engine, std::vector<Request> requests, const BatchOptions& options, OnEvent on_event);
  ~BatchRun();
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;

  /// Submits what has room now. Call before a step.
  void feed();
  /// What a step brought; events of others are passed over. When steps compute nothing, pages are short: then no prefix stays
  /// pinned, or it could keep out for ever a request that its own members wait behind.
  void take(const StepOutput& output);
  [[nodiscard]] bool done() const { return counts_.finished == requests_.size(); }
  [[nodiscard]] BatchCounts counts() const { return counts_; }
  /// The groups in the order they start.
  [[nodiscard]] const std::vector<PrefixGroup>& groups() const { return groups_; }

 private:
  enum class Stage : std::uint8_t { waiting, prefix, members };
  struct State {
    Stage stage = Stage::waiting;
    RequestId prefix_id;
    std::uint32_t next = 0;           ///< member to submit
    std::uint32_t unfinished = 0;     ///< members
    std::uint32_t prefix_pages = 0;   ///< held by the prefix
    std::uint32_t member_pages = 0;   ///< of its largest member: always promised, so that a group that started goes on
    std::uint32_t running_pages = 0;  ///< of its members in the engine
    std::uint32_t promised = 0;       ///< of all that
  };
  struct Job {
    std::size_t group = 0;
    std::uint32_t choices = 0;  ///< not finished
    std::uint32_t pages = 0;
  };

  void plan();
  [[nodiscard]] std::uint32_t pages_of(const Request& request, std::uint32_t prefix_tokens) const;
  [[nodiscard]] bool promise(State& state, std::uint32_t running_pages, bool members_left);
  bool feed_group(std::size_t index);
  bool start_group(std::size_t index);
  bool start_member(std::size_t index);
  void unpin(State& state);
  void end_job(std::size_t job);
  void refuse(std::size_t job, const Error& error);
  [[nodiscard]] bool members_left(std::size_t index) const { return states_[index].next < groups_[index].members.size(); }

  Engine& engine_;
  std::vector<Request> requests_;
  BatchOptions options_;
  OnEvent on_event_;
  std::uint32_t kv_pages_;
  std::vector<PrefixGroup> groups_;
  std::vector<State> states_;        // of groups_
  std::vector<Job> jobs_;            // of requests_
  std::map<RequestId, std::size_t> job_of_, group_of_;  // running members, running prefixes
  std::size_t first_open_ = 0;       // groups before it have no member left to submit
  bool cache_works_ = true;          // a computed prefix was found again
  std::uint32_t idle_steps_ = 0;     // one after the other
  BatchCounts counts_;
};

}  // namespace troupe::engine
