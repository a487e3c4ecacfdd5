#include "common/worker/metrics.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::worker {
namespace {

using metrics::Declaration;
using metrics::Kind;

const metrics::Label kRole{"role", {"prefill", "decode"}};

struct CounterRow {
  Declaration row;
  std::uint64_t (*read)(const WorkerSnapshot&);
  double unit = 1;  ///< of what is read, in what is shown
};
struct GaugeRow {
  Declaration row;
  double (*read)(const WorkerSnapshot&);
};

template <class T>
T sum(const WorkerSnapshot& s, T engine::EngineStats::*member) {
  T total{};
  for (const engine::EngineStats& stats : s.stats) total += stats.*member;
  return total;
}

std::uint64_t sum_disk(const WorkerSnapshot& s, std::uint64_t kv::disk::TierStats::*member) {
  std::uint64_t total = 0;
  for (const engine::EngineStats& stats : s.stats) total += stats.disk.*member;
  return total;
}

Declaration counter(std::string_view name, std::string_view help) {
  return {name, help, Kind::counter, {kRole}};
}
Declaration gauge(std::string_view name, std::string_view help) {
  return {name, help, Kind::gauge, {kRole}};
}

const std::vector<CounterRow>& counters() {
  using S = const WorkerSnapshot&;
  static const std::vector<CounterRow> kRows = {
      {counter("troupe_worker_requests_total", "Streams taken."), [](S s) { return s.counters.requests; }},
      {counter("troupe_worker_release_refusals_total",
               "Joins that failed since this worker's release does not serve with the router's or a member's."),
       [](S s) { return s.counters.release_refusals; }},
      {counter("troupe_worker_requests_refused_total", "Streams answered with an error at once."),
       [](S s) { return s.counters.refused; }},
      {counter("troupe_worker_requests_finished_total", "Streams that came to their end."),
       [](S s) { return s.counters.finished; }},
      {counter("troupe_worker_requests_cancelled_total", "Streams cancelled before their end."),
       [](S s) { return s.counters.cancelled; }},
      {counter("troupe_worker_resends_total",
               "Times a gateway asked for tokens again or after a silent stream."),
       [](S s) { return s.counters.resends; }},
      {counter("troupe_worker_stale_epochs_total", "Messages of an older placement, dropped."),
       [](S s) { return s.counters.stale_epochs; }},
      {counter("troupe_worker_malformed_messages_total", "Messages that did not parse."),
       [](S s) { return s.counters.malformed; }},
      {counter("troupe_worker_imports_total", "Prompts whose pages came from a prefill worker."),
       [](S s) { return s.counters.imports; }},
      {counter("troupe_worker_prefill_fallbacks_total",
               "Prompts computed here because their prefill worker failed."),
       [](S s) { return s.counters.prefill_fallbacks; }},
      {counter("troupe_worker_first_tokens_taken_total", "First tokens that a prefill worker drew, told before its pages came."),
       [](S s) { return s.counters.first_tokens_taken; }},
      {counter("troupe_worker_first_tokens_drawn_total", "First tokens drawn for decode workers."),
       [](S s) { return s.counters.first_tokens_drawn; }},
      {counter("troupe_worker_fetches_total", "Prompts whose pages came from a peer's cache."),
       [](S s) { return s.counters.fetches; }},
      {counter("troupe_worker_fetched_tokens_total", "Prompt tokens whose pages came from a peer's cache."),
       [](S s) { return s.counters.fetched_tokens; }},
      {counter("troupe_worker_fetch_fallbacks_total", "Prompts computed here because a peer failed to send them."),
       [](S s) { return s.counters.fetch_fallbacks; }},
      {counter("troupe_worker_imports_regrouped_total", "Prompts whose pages came in another layout: the same bits."),
       [](S s) { return s.counters.imports_regrouped; }},
      {counter("troupe_worker_imports_lossy_total",
               "Prompts whose pages were converted from other numbers (disagg.convert: lossy)."),
       [](S s) { return s.counters.imports_lossy; }},
      {counter("troupe_worker_conversions_refused_total",
               "Prompts computed here because their pages would have had to be converted lossily."),
       [](S s) { return s.counters.conversions_refused; }},
      {counter("troupe_worker_sources_asked_again_total", "Times a silent source of pages was asked again."),
       [](S s) { return s.counters.sources_asked_again; }},
      {counter("troupe_worker_exports_total", "Fetches of peers answered with pages."),
       [](S s) { return s.counters.exports; }},
      {counter("troupe_worker_exports_failed_total", "Fetches of peers that failed."),
       [](S s) { return s.counters.exports_failed; }},
      {counter("troupe_worker_streams_offered_total", "Streams that gateways were asked to take elsewhere by a drain."),
       [](S s) { return s.counters.offered; }},
      {counter("troupe_worker_transfer_frames_stale_total", "KV frames refused because their reservation is gone."),
       [](S s) { return s.stale_frames; }},
      {counter("troupe_worker_prefills_total", "Prompts computed for decode workers."),
       [](S s) { return s.counters.prefills; }},
      {counter("troupe_worker_prefills_failed_total", "Prompts for decode workers that failed."),
       [](S s) { return s.counters.prefills_failed; }},
      {counter("troupe_worker_role_changes_total", "Changes between prefill and decode, by the role they led to."),
       [](S s) { return s.counters.role_changes; }},
      {counter("troupe_worker_leases_expired_total", "Reservations nobody claimed in time."),
       [](S s) { return s.counters.leases_expired; }},
      {counter("troupe_worker_prompt_tokens_total", "Prompt tokens computed."),
       [](S s) { return sum(s, &engine::EngineStats::prompt_tokens); }},
      {counter("troupe_worker_generated_tokens_total", "Tokens drawn."),
       [](S s) { return sum(s, &engine::EngineStats::generated_tokens); }},
      {counter("troupe_worker_cached_tokens_total", "Prompt tokens served from the prefix cache."),
       [](S s) { return sum(s, &engine::EngineStats::cached_tokens); }},
      {counter("troupe_worker_steps_total", "Engine steps."),
       [](S s) { return sum(s, &engine::EngineStats::steps); }},
      {counter("troupe_worker_busy_seconds_total", "Time in engine steps and in what comes with them."),
       [](S s) { return static_cast<std::uint64_t>(sum(s, &engine::EngineStats::busy).count()); }, 1e-9},
      {counter("troupe_worker_step_stream_rows_total", "Rows that steps computed of streams past their prompts."),
       [](S s) { return sum(s, &engine::EngineStats::stream_rows); }},
      {counter("troupe_worker_step_context_tokens_total", "Tokens that rows of steps attended to, summed over the rows."),
       [](S s) { return sum(s, &engine::EngineStats::step_context); }},
      {counter("troupe_kv_disk_hits_total", "KV pages read from disk for prompts."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::hits); }},
      {counter("troupe_kv_disk_misses_total", "Prompts' KV pages that neither memory nor disk had."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::misses); }},
      {counter("troupe_kv_disk_writes_total", "KV pages written to disk."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::writes); }},
      {counter("troupe_kv_disk_dropped_total", "KV pages not written to disk, for want of a buffer or of room."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::dropped); }},
      {counter("troupe_kv_disk_errors_total", "Reads and writes of KV pages that failed, and damaged pages."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::errors); }},
      {counter("troupe_kv_disk_read_bytes_total", "Bytes of KV pages read from disk."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::read_bytes); }},
      {counter("troupe_kv_disk_written_bytes_total", "Bytes of KV pages written to disk."),
       [](S s) { return sum_disk(s, &kv::disk::TierStats::written_bytes); }},
      {counter("troupe_worker_preemptions_total", "Sequences sent back to the queue for want of pages."),
       [](S s) { return sum(s, &engine::EngineStats::preemptions); }},
      {counter("troupe_worker_beam_searches_total", "Beam searches that came to their end."),
       [](S s) { return sum(s, &engine::EngineStats::beam_searches); }},
      {counter("troupe_worker_beam_restarts_total", "Beam searches that started anew because they gave way."),
       [](S s) { return sum(s, &engine::EngineStats::beam_restarts); }},
      {counter("troupe_worker_superposed_requests_total", "Requests for superposed drafts that came to their end."),
       [](S s) { return sum(s, &engine::EngineStats::superposed_requests); }},
      {counter("troupe_worker_superposed_restarts_total", "Requests for superposed drafts that started anew because they gave way."),
       [](S s) { return sum(s, &engine::EngineStats::superposed_restarts); }},
      {counter("troupe_worker_blended_rows_total", "Rows that superposed drafts shared."),
       [](S s) { return sum(s, &engine::EngineStats::blended_rows); }},
      {counter("troupe_worker_transfer_frames_sent_total", "KV and prompt frames sent on the data plane."),
       [](S s) { return s.plane.frames_sent; }},
      {counter("troupe_worker_transfer_sent_bytes_total", "Bytes of frames sent on the data plane."),
       [](S s) { return s.plane.bytes_sent; }},
      {counter("troupe_worker_transfer_frames_received_total",
               "KV and prompt frames received on the data plane."),
       [](S s) { return s.plane.frames_received; }},
      {counter("troupe_worker_transfer_received_bytes_total", "Bytes of frames received on the data plane."),
       [](S s) { return s.plane.bytes_received; }},
      {counter("troupe_worker_transfer_frames_refused_total", "Frames that nobody waited for."),
       [](S s) { return s.plane.refused; }},
      {counter("troupe_worker_transfer_frames_shared_total",
               "Frames received whose payload stayed where its sender, on this host, wrote it."),
       [](S s) { return s.plane.shared_received; }},
      {counter("troupe_worker_transfer_frames_resent_total", "Frames sent again: damaged on the way, or not acknowledged."),
       [](S s) { return s.plane.resent; }},
      {counter("troupe_worker_transfer_frames_repeated_total", "Frames that came again, taken once."),
       [](S s) { return s.plane.repeated; }},
      {counter("troupe_worker_transfer_peers_lost_total", "Data-plane peers that stopped acknowledging."),
       [](S s) { return s.plane.lost_peers; }},
      {counter("troupe_worker_handshakes_refused_total",
               "Peers refused at data and event ports: without keys, or with others."),
       [](S s) { return s.handshakes_refused; }},
  };
  return kRows;
}

const std::vector<GaugeRow>& gauges() {
  using S = const WorkerSnapshot&;
  static const std::vector<GaugeRow> kRows = {
      {gauge("troupe_worker_sequences_running", "Sequences in the batch."),
       [](S s) { return double(sum(s, &engine::EngineStats::running)); }},
      {gauge("troupe_worker_sequences_waiting", "Sequences waiting for a place in the batch."),
       [](S s) { return double(sum(s, &engine::EngineStats::waiting)); }},
      {gauge("troupe_worker_pages_pool", "KV pages of the pool."),
       [](S s) { return double(sum(s, &engine::EngineStats::pages_total)); }},
      {gauge("troupe_worker_pages_free", "KV pages nobody uses."),
       [](S s) { return double(sum(s, &engine::EngineStats::pages_free)); }},
      {gauge("troupe_worker_pages_cached", "KV pages kept for equal prefixes only."),
       [](S s) { return double(sum(s, &engine::EngineStats::pages_cached)); }},
      {gauge("troupe_worker_pages_reserved", "KV pages reserved for a transfer."),
       [](S s) { return double(sum(s, &engine::EngineStats::pages_reserved)); }},
      {gauge("troupe_kv_disk_pages", "KV pages on disk."),
       [](S s) { return double(sum_disk(s, &kv::disk::TierStats::pages)); }},
      {gauge("troupe_kv_disk_bytes", "Bytes of the files of KV pages."),
       [](S s) { return double(sum_disk(s, &kv::disk::TierStats::bytes)); }},
      {gauge("troupe_kv_disk_paused_tiers", "Disk tiers that write nothing for now, or could not be opened."),
       [](S s) {
         return double(std::count_if(s.stats.begin(), s.stats.end(), [](const auto& e) { return e.disk.paused; }));
       }},
      {gauge("troupe_worker_streams_running", "Streams that are not over."),
       [](S s) { return double(s.counters.streams_running); }},
      {gauge("troupe_worker_streams_held",
             "Streams held, finished ones that may be asked for again included."),
       [](S s) { return double(s.counters.streams); }},
      {gauge("troupe_worker_prefills_running", "Prompts being computed for decode workers."),
       [](S s) { return double(s.counters.prefills_running); }},
      {gauge("troupe_worker_exports_running", "Fetches of peers under way."),
       [](S s) { return double(s.counters.exports_running); }},
      {gauge("troupe_worker_transfer_frames_in_flight", "Frames sent and not acknowledged."),
       [](S s) { return double(s.plane.in_flight); }},
      {gauge("troupe_worker_transfer_shared_segments", "Shared memory of other processes that is mapped."),
       [](S s) { return double(s.plane.segments); }},
      {gauge("troupe_worker_joined_routers", "1 while the router counts this worker in."),
       [](S s) { return s.counters.joined ? 1.0 : 0.0; }},
  };
  return kRows;
}

/// What is counted of one drafter's rows.
struct DraftRow {
  metrics::Counter counter;
  std::function<std::uint64_t(const speculation::DraftCounters&)> read;
  std::size_t drafter;
};

/// Rows of guesses, by drafter, and by their place behind the verified token.
std::vector<DraftRow> draft_rows(metrics::Registry& registry, std::string_view role) {
  std::vector<DraftRow> rows;
  using Counters = speculation::DraftCounters;
  static const std::vector<std::string> kPositions = [] {
    std::vector<std::string> names;
    for (std::size_t i = 1; i <= Counters::kPositions; ++i) names.push_back(std::to_string(i));
    return names;
  }();
  metrics::Label drafter{"drafter", {}}, position{"position", {kPositions.begin(), kPositions.end()}};
  for (const speculation::DrafterEntry& entry : speculation::builtin_drafters())
    drafter.values.push_back(entry.name);
  const Declaration proposed{"troupe_worker_draft_rows_total", "Guesses that steps computed rows for.",
                             Kind::counter, {kRole, drafter}};
  const Declaration accepted{"troupe_worker_draft_accepted_total", "Guesses that came true.", Kind::counter,
                             {kRole, drafter}};
  const Declaration wasted{"troupe_worker_draft_wasted_total", "Rows of guesses that did not come true.",
                           Kind::counter, {kRole, drafter}};
  const Declaration offered_at{"troupe_worker_draft_position_steps_total",
                               "Steps of a sequence with a guess this far behind the verified token; the "
                               "last position and beyond.",
                               Kind::counter, {kRole, drafter, position}};
  const Declaration accepted_at{"troupe_worker_draft_position_accepted_total", "Such steps whose guess came true.", Kind::counter,
                                {kRole, drafter, position}};
  for (std::size_t i = 0; i < drafter.values.size(); ++i) {
    const std::string_view name = drafter.values[i];
    const auto add = [&](const metrics::Counter& counter, std::function<std::uint64_t(const Counters&)> read) {
      rows.push_back({counter, std::move(read), i});
    };
    add(registry.counter(proposed, {role, name}), [](const Counters& c) { return c.proposed; });
    add(registry.counter(accepted, {role, name}), [](const Counters& c) { return c.accepted; });
    add(registry.counter(wasted, {role, name}), [](const Counters& c) { return c.proposed - c.accepted; });
    for (std::size_t at = 0; at < Counters::kPositions; ++at) {
      const std::string_view place = kPositions[at];
      add(registry.counter(offered_at, {role, name, place}), [at](const Counters& c) { return c.proposed_at[at]; });
      add(registry.counter(accepted_at, {role, name, place}), [at](const Counters& c) { return c.accepted_at[at]; });
    }
  }
  return rows;
}

/// Of all engines, which share the table of drafters.
std::uint64_t sum_drafts(const WorkerSnapshot& s, const DraftRow& row) {
  std::uint64_t total = 0;
  for (const engine::EngineStats& stats : s.stats)
    if (row.drafter < stats.drafts.size()) total += row.read(stats.drafts[row.drafter]);
  return total;
}

/// The series of one role.
struct RoleSeries {
  RoleSeries(metrics::Registry& registry, std::string_view role) : drafts(draft_rows(registry, role)) {
    for (const CounterRow& row : counters()) counter.push_back(registry.counter(row.row, {role}));
    for (const GaugeRow& row : gauges()) gauge.push_back(registry.gauge(row.row, {role}));
  }
  std::vector<metrics::Counter> counter;
  std::vector<metrics::Gauge> gauge;
  std::vector<DraftRow> drafts;
};

/// Adds to a counter what a total has grown by.
void add_growth(const metrics::Counter& counter, std::uint64_t value, std::uint64_t& before, double unit = 1) {
  if (value > before) counter.add(static_cast<double>(value - before) * unit);
  before = std::max(before, value);
}

class Mirror {
 public:
  explicit Mirror(metrics::Registry& registry) : registry_(registry), counted_(counters().size(), 0) {}

  void show(const WorkerSnapshot& now) {
    const auto role = static_cast<std::size_t>(now.role == wire::Role::prefill ? 0 : 1);
    if (shown_ && shown_ != role)
      for (const metrics::Gauge& gauge : roles_[*shown_]->gauge) gauge.clear();
    shown_ = role;
    auto& series = roles_[role];
    if (!series) series.emplace(registry_, kRole.values[role]);
    for (std::size_t i = 0; i < counted_.size(); ++i)
      add_growth(series->counter[i], counters()[i].read(now), counted_[i], counters()[i].unit);
    drafts_.resize(series->drafts.size(), 0);
    for (std::size_t i = 0; i < drafts_.size(); ++i)
      add_growth(series->drafts[i].counter, sum_drafts(now, series->drafts[i]), drafts_[i]);
    for (std::size_t i = 0; i < series->gauge.size(); ++i) series->gauge[i].set(gauges()[i].read(now));
  }

 private:
  metrics::Registry& registry_;
  std::vector<std::uint64_t> counted_, drafts_;  ///< so far
  std::array<std::optional<RoleSeries>, 2> roles_;  ///< as in kRole; made when the worker first has it
  std::optional<std::size_t> shown_;
};

}  // namespace

void add_worker_metrics(metrics::Registry& registry, std::function<WorkerSnapshot()> snapshot,
                        std::shared_ptr<VllmMetrics> vllm) {
  auto mirror = std::make_shared<Mirror>(registry);  // owned by the registry's callback
  registry.before_collect([mirror, vllm = std::move(vllm), snapshot = std::move(snapshot)] {
    const WorkerSnapshot now = snapshot();
    mirror->show(now);
    if (vllm) vllm->mirror(now.stats);
  });
}

}  // namespace troupe::worker
