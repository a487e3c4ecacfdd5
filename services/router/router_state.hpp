#pragma once
// What the router decides: who is a member, who gets a request, and what gateways may offer. It knows ids and
// keys only.
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/actors/role_state.hpp"
#include "services/router/circuit_breakers.hpp"
#include "common/kv/block_key.hpp"
#include "services/router/cluster_reports.hpp"
#include "services/router/cluster_view.hpp"
#include "services/router/event_feeds.hpp"
#include "services/router/planner/planner.hpp"
#include "services/router/prefix_view.hpp"
#include "services/router/suspects.hpp"
#include "services/router/placement_book.hpp"
#include "services/router/placement_log.hpp"
#include "services/router/policies/policy.hpp"
#include "services/router/prompt_drain.hpp"
#include "services/router/release_gate.hpp"
#include "services/router/transfer_models.hpp"
#include "services/router/ttft_models.hpp"
#include "services/router/worker_tables.hpp"

namespace troupe::router {

/// What a running router may be told to do otherwise: RouterState::tune.
struct RouterTuning {
  std::string policy = "predicted_ttft";
  std::optional<Duration> first_token_slo = {};  ///< what would come later is refused; none: nothing is
  std::uint32_t min_prompt_tokens = 256;         ///< fewer uncached ones are prefilled where they are decoded
  std::uint32_t min_fetch_tokens =
      256;  ///< another worker must hold so many more for its pages to be fetched
};

struct RouterOptions : RouterTuning {
  RouterOptions();  // out of line: g++ 12 sees uninitialized members in inlined ones

  NodeId node;
  wire::Release release = wire::own_release();
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration node_timeout = std::chrono::seconds(2);
  Duration hang_limit = std::chrono::seconds(30);      ///< busy without a layer finished for this long
  Duration placement_check = std::chrono::seconds(2);  ///< between checks of what gateways still know
  Duration table_repeat = std::chrono::seconds(5);     ///< what gateways know is told again, changed or not
  Duration verdict_after = std::chrono::milliseconds(500);  ///< a lost worker that is not back by then died
  Duration lease = std::chrono::seconds(30);                ///< of a placement beyond its request's deadline
  bool convert_lossy = false;  ///< prefill workers of the same weights and other numbers compute prompts, too
  std::size_t max_nodes = 1024;
  std::size_t max_index_blocks = 1u << 20;  ///< of all models together
  std::size_t max_placements = 1u << 16;
  std::size_t explained_placements = 32;         ///< the last ones, kept for /state
  double transfer_bytes_per_second = 1e9;        ///< of pages between workers, until measured otherwise
  std::uint32_t block_tokens = kBlockTokens;     ///< of one key; traces have blocks of their own
  PlannerOptions planner;
  std::size_t event_sources = 0;  ///< KV events besides the control plane
  std::function<void(std::size_t source, std::uint64_t from)> ask_replay;  ///< of a source; must not block
  std::function<void(const class RouterState&)> on_tick;                   ///< for those who only look
  const Clock* clock = nullptr;  ///< when a placement is made, for its span; none: it takes no time
};

/// Times to the first token over the predicted ones.
struct RatioCounts {
  static constexpr std::array<double, 10> kBounds{0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< the i-th: at most kBounds[i], more than the bound before
  double sum = 0;
  void add(double ratio) {
    ++counts[static_cast<std::size_t>(std::ranges::lower_bound(kBounds, ratio) - kBounds.begin())];
    sum += ratio;
  }
};

struct RouterCounters {
  std::uint64_t placed_by_prefix = 0, placed_by_load = 0;
  std::uint64_t placed_with_prefill = 0;
  std::uint64_t placed_with_fetch = 0;
  std::uint64_t fetched_tokens = 0, fetched_us = 0;  ///< as workers tell
  std::uint64_t refused = 0;
  std::uint64_t joins = 0, losses = 0, hangs = 0;
  std::uint64_t kv_updates = 0, kv_gaps = 0;
  std::uint64_t leases_expired = 0;
  std::uint64_t malformed = 0;
  std::uint64_t cached_tokens = 0, prompt_tokens = 0;  ///< of placed requests, as the index knows it
  std::uint64_t predicted_tokens = 0;                  ///< of cached_tokens, on workers that tell nothing
  std::uint64_t role_changes = 0;                      ///< asked of workers
  std::array<RatioCounts, 2> first_tokens;             ///< of requests placed for the first time; placed again
};

class RouterState final : public actors::RoleState {
 public:
  /// Errors: config_invalid (an unknown policy).
  [[nodiscard]] static Expected<std::unique_ptr<RouterState>> create(const RouterOptions& options);

  void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
               actors::Outbox& out) override;
  void tick(TimePoint now, actors::Outbox& out) override;
  void peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) override;
  [[nodiscard]] TimePoint wake_at() const override { return wake_at_; }

  /// A batch of KV events; `topic` is empty for a replayed one.
  void on_kv_events(std::size_t source, const std::string& topic, std::uint64_t number,
                    std::span<const std::uint8_t> payload, TimePoint now, actors::Outbox& out);
  void on_replay_ended(std::size_t source, TimePoint now, actors::Outbox& out);

  [[nodiscard]] const EventFeeds& event_feeds() const { return feeds_; }
  [[nodiscard]] const ClusterView& view() const { return view_; }
  [[nodiscard]] const PrefixView& prefixes() const { return prefixes_; }
  [[nodiscard]] const RouterCounters& counters() const { return counters_; }
  [[nodiscard]] const CircuitBreakers& breakers() const { return breakers_; }
  [[nodiscard]] const Planner& planner() const { return planner_; }
  [[nodiscard]] const PlacementLog& log() const { return log_; }
  [[nodiscard]] const TtftModels& costs() const { return costs_; }
  [[nodiscard]] const TransferModels& transfers() const { return transfers_; }
  [[nodiscard]] const ReleaseGate& releases() const { return releases_; }
  [[nodiscard]] std::size_t placements() const { return placements_.size(); }
  void drain() { draining_ = true; }
  /// From the next request on; placements that stand are kept, and so is what was learnt. Errors:
  /// config_invalid (an unknown policy; then nothing changes).
  [[nodiscard]] Expected<void> tune(const RouterTuning& tuning);

 private:
  struct Placed {
    wire::Placement answer;
    std::uint32_t choices = 1;
    TimePoint lease;
    std::string gateway;
    ModelId model;
    std::uint32_t prompt_tokens = 0;
    TimePoint placed;
    bool started = false;
    TtftFeatures what;       ///< as predicted from
    double transfer_us = 0;  ///< of what was predicted
    double predicted_us = 0;  ///< to the first token; 0: the policy predicts nothing
    struct Fetch {
      NodeId source;
      double bytes = 0;  ///< that count for a token (Source::bytes)
      double waits_us = 0, predicted_us = 0;
      double hidden_us = 0;  ///< of `predicted_us`, behind the queue
      std::uint32_t tokens = 0;
    };
    std::optional<Fetch> fetch;  ///< until it is over
    /// The worker that computes the prompt.
    [[nodiscard]] const NodeId& computes() const { return answer.prefill ? *answer.prefill : answer.decode; }
    [[nodiscard]] const ModelId& computing_model() const {
      return answer.prefill_model.is_zero() ? model : answer.prefill_model;
    }
  };
  RouterState(const RouterOptions& options, std::unique_ptr<RouterPolicy> policy);

  [[nodiscard]] wire::JoinReply join_reply(const Error* refused) const;
  void on_join(const std::string& from, const wire::Join& join, TimePoint now, actors::Outbox& out);
  void on_heartbeat(const std::string& from, const wire::Heartbeat& beat, TimePoint now, actors::Outbox& out);
  void on_kv_update(const std::string& from, const wire::KvUpdate& update, TimePoint now,
                    actors::Outbox& out);
  void on_place(const std::string& from, const wire::PlaceRequest& request, TimePoint now,
                actors::Outbox& out);
  void tell_placing(const std::string& from, const wire::PlaceRequest& request, const Expected<Placed>& placed,
                    TimePoint now, actors::Outbox& out) const;
  void on_started(const wire::RequestStarted& started, TimePoint now);
  void on_ended(const wire::RequestEnded& ended, TimePoint now);

  // router_placing.cpp: from a request to a placement
  using Nodes = std::vector<const Node*>;
  [[nodiscard]] Expected<Placed> place(const wire::PlaceRequest& request, TimePoint now);
  [[nodiscard]] Nodes ready_for(const wire::PlaceRequest& request, wire::Role role, const ModelId& model,
                                TimePoint now) const;
  [[nodiscard]] RequestView view_of(const wire::PlaceRequest& request);
  [[nodiscard]] std::vector<Candidate> candidates(const Nodes& nodes, const wire::PlaceRequest& request,
                                                  const wire::ModelInfo& model, bool prefill, TimePoint now);
  void add_relatives(const wire::PlaceRequest& request, const wire::ModelInfo& model, std::vector<Candidate>& prefill,
                     TimePoint now);
  [[nodiscard]] Placed settle(const wire::PlaceRequest& request, const wire::ModelInfo& model,
                              const Offer& offer, const Decision& decision, TimePoint now);
  [[nodiscard]] std::vector<Source> sources(const wire::PlaceRequest& request, const wire::ModelInfo& model,
                                            std::span<const Candidate> decode, std::span<const Candidate> prefill,
                                            TimePoint now) const;
  void add_fetch(Placed& placed, const Source& source, const Candidate& chosen);
  void end_fetch(Placed& placed);
  void on_moved(const wire::PagesMoved& moved, TimePoint now);
  void count(const wire::PlaceRequest& request, const Candidate& chosen, Placed& placed);
  void explain(const wire::PlaceRequest& request, const Offer& offer, const Expected<Decision>& decision);
  [[nodiscard]] std::uint32_t retry_after_ms(const Error& error) const;
  void act(std::size_t source, const FeedActions& actions, actors::Outbox& out);
  [[nodiscard]] std::optional<Publisher> publisher_of(const std::string& topic) const;
  void release(const RequestId& request, Placed& placed, TimePoint now);
  void gone(const GoneNode& node, TimePoint now, actors::Outbox& out);
  void tell_gone(const NodeId& node, const std::string& reason, bool died, actors::Outbox& out);
  void push_models(actors::Outbox& out);
  void repeat_tables(TimePoint now, actors::Outbox& out);
  void check_placements(TimePoint now, actors::Outbox& out);
  [[nodiscard]] std::optional<StepCosts> step_costs(TimePoint now) const;
  void plan_roles(TimePoint now, actors::Outbox& out);

  RouterOptions options_;
  std::unique_ptr<RouterPolicy> policy_;
  ReleaseGate releases_;
  ClusterView view_;
  Suspects suspects_;
  CircuitBreakers breakers_;
  PrefixView prefixes_;
  PlacementBook book_;
  TtftModels costs_;
  PromptDrain drain_;
  TransferModels transfers_;
  PlacementLog log_;
  std::uint64_t ticket_;  // drawn by: differs between routers
  double answer_us_ = 0;  // running mean of a placement's life
  EventFeeds feeds_;
  Planner planner_;
  std::map<RequestId, Placed> placements_;
  WorkerTables workers_;
  ClusterReports reports_;
  wire::ModelTable pushed_;
  std::vector<std::uint8_t> pushed_bytes_;
  bool draining_ = false;
  TimePoint wake_at_{}, repeat_at_{}, check_at_{};
  RouterCounters counters_;
};

}  // namespace troupe::router
