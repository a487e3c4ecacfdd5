#include "services/router/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "services/router/planner/explain.hpp"

namespace troupe::router {
namespace {

using metrics::Declaration;
using metrics::Kind;

const metrics::Label kReason{"reason", {"prefix", "load"}};
const metrics::Label kRole{"role", {"gateway", "router", "prefill", "decode"}};
const Declaration kPlacements{"troupe_router_placements_total",
                              "Requests placed, by why that worker was chosen.",
                              Kind::counter,
                              {kReason}};
const Declaration kWithPrefill{"troupe_router_disaggregated_placements_total",
                               "Placements that name a prefill worker."};
const Declaration kWithFetch{"troupe_router_fetching_placements_total",
                             "Placements that name a worker to fetch the prompt's pages from."};
const Declaration kFetched{"troupe_router_fetched_tokens_total",
                           "Prompt tokens whose pages workers say they fetched."};
const Declaration kFetchTime{"troupe_router_fetch_seconds_total", "Time that these fetches took."};
const Declaration kRefused{"troupe_router_refusals_total", "Requests refused."};
const Declaration kJoins{"troupe_router_joins_total", "Nodes that joined."};
const Declaration kReleases{
    "troupe_router_release_refusals_total",
    "Joins refused since the node's release does not serve with the router's or a member's."};
const Declaration kLosses{"troupe_router_losses_total", "Nodes that left or were lost."};
const Declaration kHangs{"troupe_router_hangs_total", "Nodes found busy without progress."};
const Declaration kUpdates{"troupe_router_kv_updates_total", "Updates of the block index."};
const Declaration kGaps{"troupe_router_kv_gaps_total", "Missing updates, answered by asking for a snapshot."};
const Declaration kEventBatches{"troupe_router_kv_event_batches_total",
                                "Batches of KV events from subscribed sources."};
const Declaration kEventGaps{"troupe_router_kv_event_gaps_total", "Gaps in these, until they were repaired."};
const Declaration kEventReplays{"troupe_router_kv_event_replays_total", "Replays asked."};
const Declaration kEventSnapshots{"troupe_router_kv_event_snapshots_total",
                                  "Snapshots asked because a replay did not reach back."};
const Declaration kEventMalformed{"troupe_router_kv_event_malformed_total", "Payloads that did not parse."};
const Declaration kLeases{"troupe_router_leases_expired_total", "Placements whose end nobody told."};
const Declaration kMalformed{"troupe_router_malformed_messages_total", "Messages that did not parse."};
const Declaration kPrompt{"troupe_router_prompt_tokens_total", "Prompt tokens of placed requests."};
const Declaration kCached{"troupe_router_cached_tokens_total",
                          "Of these, tokens the index knew on the chosen worker."};
const Declaration kPredicted{"troupe_router_predicted_cached_tokens_total",
                             "Of the cached tokens, those guessed from earlier placements: the worker tells "
                             "nothing of its cache."};
const Declaration kEvicted{"troupe_router_index_evictions_total",
                           "Blocks forgotten because the index was full."};
const Declaration kRoleChanges{"troupe_router_role_changes_total",
                               "Workers asked to change between prefill and decode."};
const metrics::Label kWork{"work", {"prefill", "decode"}};
const Declaration kPressure{"troupe_router_role_pressure",
                            "Load of a role's workers, smoothed; 1 is what the planner lets them bear.",
                            Kind::gauge,
                            {kWork}};
const Declaration kAdvantage{
    "troupe_router_split_advantage",
    "Predicted worth of prefill and decode apart against hybrid workers: above 1 apart is better; 0: too "
    "little was seen.",
    Kind::gauge};
const Declaration kNodes{
    "troupe_router_ready_nodes", "Members that can be given work.", Kind::gauge, {kRole}};
const Declaration kInFlight{"troupe_router_placed_requests", "Placements that have not ended.", Kind::gauge};
const Declaration kBlocks{"troupe_router_index_blocks", "Blocks in the index.", Kind::gauge};
const Declaration kIndexBytes{"troupe_router_index_bytes", "Memory of the index.", Kind::gauge};
const Declaration kCircuits{"troupe_router_open_circuits",
                            "Workers that get nothing for a while, since what they are given keeps failing.",
                            Kind::gauge};
const metrics::Label kView{"view", {"exact", "predicted"}};
const Declaration kFeeds{
    "troupe_router_prefix_feeds",
    "Caches (worker and model) in the index: those whose worker tells its blocks, and those "
    "predicted from placements.",
    Kind::gauge,
    {kView}};

const Declaration kTickAge{
    "troupe_router_last_tick_age_seconds",
    "Since the router last looked after its members; at most a heartbeat while it works.", Kind::gauge};
const Declaration kOldestBeat{"troupe_router_oldest_heartbeat_seconds",
                              "Since the member that is silent the longest was heard.", Kind::gauge};

const metrics::Label kPlaced{"placed", {"first", "again"}};
const Declaration kFirstTokens{"troupe_router_first_token_ratio",
                               "Time from a placement to its first token, over the predicted one; again: after its worker "
                               "was lost or gave it up.",
                               Kind::histogram,
                               {kPlaced},
                               {RatioCounts::kBounds.begin(), RatioCounts::kBounds.end()}};

double seconds_until(TimePoint now, TimePoint then) {
  return std::max(0.0, std::chrono::duration<double>(now - then).count());
}

void show(const RatioCounts& now, RatioCounts& before, const metrics::Histogram& histogram) {
  std::array<double, RatioCounts::kBounds.size() + 1> more{};
  for (std::size_t i = 0; i < more.size(); ++i) more[i] = static_cast<double>(now.counts[i] - before.counts[i]);
  histogram.add_counts(more, now.sum - before.sum);
  before = now;
}

}  // namespace

struct RouterMonitor::Seen {
  std::mutex mutex;
  TimePoint observed = std::chrono::steady_clock::now();
  std::optional<TimePoint> oldest_beat;  ///< none: no members
  std::vector<double> counters, gauges;
  std::array<RatioCounts, 2> first_tokens;
  std::deque<LoggedPlacement> placements;
  Planner::View plan;
};

RouterMonitor::RouterMonitor(metrics::Registry& registry) : seen_(std::make_shared<Seen>()) {
  std::vector<metrics::Counter> counters{registry.counter(kPlacements, {"prefix"}),
                                         registry.counter(kPlacements, {"load"})};
  for (const Declaration* row :
       {&kWithPrefill,  &kWithFetch,      &kFetched,        &kFetchTime,   &kRefused,      &kJoins,
        &kLosses,       &kHangs,          &kUpdates,        &kGaps,        &kLeases,       &kMalformed,
        &kPrompt,       &kCached,         &kPredicted,      &kEvicted,     &kEventBatches, &kEventGaps,
        &kEventReplays, &kEventSnapshots, &kEventMalformed, &kRoleChanges, &kReleases})
    counters.push_back(registry.counter(*row));
  std::vector<metrics::Gauge> gauges;
  for (const std::string_view role : kRole.values) gauges.push_back(registry.gauge(kNodes, {role}));
  gauges.push_back(registry.gauge(kInFlight));
  for (const Declaration* row : {&kBlocks, &kIndexBytes}) gauges.push_back(registry.gauge(*row));
  for (const std::string_view view : kView.values) gauges.push_back(registry.gauge(kFeeds, {view}));
  gauges.push_back(registry.gauge(kCircuits));
  for (const std::string_view work : kWork.values) gauges.push_back(registry.gauge(kPressure, {work}));
  gauges.push_back(registry.gauge(kAdvantage));
  std::vector<metrics::Histogram> first_tokens;
  for (const std::string_view placed : kPlaced.values)
    first_tokens.push_back(registry.histogram(kFirstTokens, {placed}));
  auto before = std::make_shared<std::vector<double>>(counters.size(), 0);
  auto ratios_before = std::make_shared<std::array<RatioCounts, 2>>();
  registry.before_collect([seen = seen_, counters, gauges, before, first_tokens, ratios_before, tick_age = registry.gauge(kTickAge),
                           oldest_beat = registry.gauge(kOldestBeat)] {
    const std::lock_guard lock(seen->mutex);
    const TimePoint now = std::chrono::steady_clock::now();
    tick_age.set(seconds_until(now, seen->observed));
    oldest_beat.set(seen->oldest_beat ? seconds_until(now, *seen->oldest_beat) : 0);
    for (std::size_t i = 0; i < seen->counters.size(); ++i) {
      counters[i].add(seen->counters[i] - (*before)[i]);
      (*before)[i] = seen->counters[i];
    }
    for (std::size_t i = 0; i < seen->gauges.size(); ++i) gauges[i].set(seen->gauges[i]);
    for (std::size_t i = 0; i < first_tokens.size(); ++i) show(seen->first_tokens[i], (*ratios_before)[i], first_tokens[i]);
  });
}

void RouterMonitor::observe(const RouterState& state) {
  const RouterCounters& c = state.counters();
  std::vector<double> gauges(4, 0);
  std::optional<TimePoint> oldest_beat;
  for (const auto& [id, node] : state.view().nodes()) {
    oldest_beat = oldest_beat ? std::min(*oldest_beat, node.heard) : node.heard;
    if (node.ready()) gauges[static_cast<std::size_t>(node.identity.role)] += 1;
  }
  gauges.push_back(static_cast<double>(state.placements()));
  const PrefixView& prefixes = state.prefixes();
  for (const std::size_t value : {prefixes.index().size(), prefixes.index().bytes(), prefixes.exact_feeds(),
                                  prefixes.predicted_feeds(), state.breakers().open()})
    gauges.push_back(static_cast<double>(value));
  for (const wire::Role work : {wire::Role::prefill, wire::Role::decode})
    gauges.push_back(state.planner().pressure(work));
  const auto& comparison = state.planner().view().comparison;
  gauges.push_back(comparison ? comparison->advantage : 0);
  const kv_events::TrackerCounters events = state.event_feeds().counters();
  const std::lock_guard lock(seen_->mutex);
  seen_->observed = std::chrono::steady_clock::now();
  seen_->oldest_beat = oldest_beat;
  seen_->counters.clear();
  for (const std::uint64_t value :
       {c.placed_by_prefix, c.placed_by_load, c.placed_with_prefill, c.placed_with_fetch, c.fetched_tokens})
    seen_->counters.push_back(static_cast<double>(value));
  seen_->counters.push_back(static_cast<double>(c.fetched_us) / 1e6);
  for (const std::uint64_t value :
       {c.refused, c.joins, c.losses, c.hangs, c.kv_updates, c.kv_gaps, c.leases_expired, c.malformed,
        c.prompt_tokens, c.cached_tokens, c.predicted_tokens, prefixes.index().evicted(), events.batches,
        events.gaps, events.replays, events.snapshots, state.event_feeds().malformed(), c.role_changes,
        state.releases().refusals()})
    seen_->counters.push_back(static_cast<double>(value));
  seen_->gauges = std::move(gauges);
  seen_->first_tokens = c.first_tokens;
  seen_->placements = state.log().placements();
  seen_->plan = state.planner().view();
}

std::string RouterMonitor::state_json() const {
  std::deque<LoggedPlacement> placements;
  Planner::View plan;
  {
    const std::lock_guard lock(seen_->mutex);
    placements = seen_->placements;
    plan = seen_->plan;
  }
  std::string json = to_json(placements);
  json.pop_back();  // its brace
  return json + ",\"arrangement\":" + to_json(plan) + "}";
}

}  // namespace troupe::router
