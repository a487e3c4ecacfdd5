// Dispatch, ticks and leases of a worker; the stages are in worker_streams, worker_imports, worker_prefills
// and worker_membership.
#include "common/worker/worker_state.hpp"

#include <algorithm>

#include "common/actors/delivery.hpp"
#include "common/base/hash.hpp"
#include "common/base/log.hpp"

namespace troupe::worker {

WorkerState::WorkerState(WorkerOptions options, std::vector<ServedModel> models, EngineDoor& door)
    : options_(std::move(options)),
      models_(std::move(models)),
      door_(door),
      stats_(models_.size()),
      feeds_(models_.size()),
      announcers_(models_.size()) {
  routers_.push_back({options_.router_address, {}});
  for (const std::string& address : options_.other_routers) routers_.push_back({address, {}});
}

std::optional<std::size_t> WorkerState::engine_of(const ModelId& model) const {
  for (std::size_t i = 0; i < models_.size(); ++i)
    if (models_[i].info.id == model) return i;
  return std::nullopt;
}

RequestId WorkerState::next_engine_id() {
  return Hasher().id(options_.node).number(++next_id_).finish<RequestId>();
}

void WorkerState::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                          actors::Outbox& out) {
  actors::Delivery delivery("worker", from, message, counters_.malformed);
  delivery.on<wire::Generate>([&](wire::Generate m) { on_generate(from, std::move(m), now, out); });
  delivery.on<wire::Embed>([&](wire::Embed m) { on_embed(from, std::move(m), now, out); });
  delivery.on<wire::Resend>([&](const wire::Resend& m) { on_resend(from, m, out); });
  delivery.on<wire::Cancel>([&](const wire::Cancel& m) { on_cancel(m.request, m.epoch, now, out); });
  delivery.on<wire::RequestEnded>([&](const wire::RequestEnded& m) { on_cancel(m.request, m.epoch, now, out); });
  delivery.on<wire::PrefillRequest>(
      [&](wire::PrefillRequest m) { on_prefill_request(from, std::move(m), now, out); });
  delivery.on<wire::PrefillDone>([&](const wire::PrefillDone& m) { on_prefill_done(m, now, out); });
  delivery.on<wire::KvFetch>([&](wire::KvFetch m) { on_fetch(from, std::move(m), now, out); });
  delivery.on<wire::KvFetched>([&](const wire::KvFetched& m) { on_fetched(m, now, out); });
  delivery.on<wire::Spans>([&](wire::Spans m) { on_spans(std::move(m), now, out); });
  delivery.on<wire::KvFetchCancel>([&](const wire::KvFetchCancel& m) { cancel_export(m.lease); });
  delivery.on<wire::JoinReply>([&](const wire::JoinReply& m) { on_join_reply(from, m, now, out); });
  delivery.on<wire::KvSnapshotRequest>([&](const wire::KvSnapshotRequest&) {
    ask_snapshots();
    announce_snapshots();
  });
  delivery.on<wire::ChangeRole>([&](const wire::ChangeRole& m) { on_change_role(m, now, out); });
  delivery.on<wire::Operate>([&](const wire::Operate& m) { on_operate(m, now, out); });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, wire::Pong{m.number, options_.node}); });
  delivery.end();
}

void WorkerState::tick(TimePoint now, actors::Outbox& out) {
  change_role_if_drained(now, out);
  if (now >= next_beat_) {
    beat(now, out);
    if (options_.on_tick) options_.on_tick(*this);
    next_beat_ = now + options_.heartbeat;
  }
  expire(now, out);
  ask_sources_again(now, out);
  if ((draining_ || held_out_) && now >= offer_at_) offer_streams(now, out);
  wake_at_ = next_beat_;
}

void WorkerState::peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) {
  for (RouterLink& link : routers_)
    if (address == link.address || address == link.known_as) link.joined = false;
  std::vector<StreamKey> without_source;
  for (auto& [key, stream] : streams_) {
    if (stream.gateway == address && !stream.orphaned_at) stream.orphaned_at = now + options_.gateway_grace;
    if (stream.phase == Phase::importing && stream.import.address == address) without_source.push_back(key);
  }
  for (const StreamKey& key : without_source)
    fall_back(key, streams_.at(key), {Errc::peer_lost, "the worker that sent its pages is gone"}, now, out);
  std::vector<PrefillKey> orphans;
  for (const auto& [key, job] : prefills_)
    if (job.decode == address) orphans.push_back(key);
  for (const PrefillKey& key : orphans) cancel_prefill(key.request, key.epoch);
  std::vector<LeaseId> unread;
  for (const auto& [lease, job] : exports_)
    if (job.to == address) unread.push_back(lease);
  for (const LeaseId lease : unread) cancel_export(lease);
}

void WorkerState::on_reports(std::size_t engine, ReportBatch batch, TimePoint now, actors::Outbox& out) {
  stats_[engine] = batch.stats;
  Batches batches;
  for (Report& report : batch.reports) {
    if (auto* stepped = std::get_if<Stepped>(&report)) {
      ++step_;
      for (engine::TokenEvent& event : stepped->tokens) on_token_event(std::move(event), now, batches, out);
      publish_kv(engine, stepped->kv, out);
      announce_kv(engine, stepped->kv);
    } else if (const auto* refused = std::get_if<Refused>(&report)) {
      on_refused(engine, *refused, now, out);
    } else if (const auto* reserved = std::get_if<Reserved>(&report)) {
      on_reserved(*reserved, now, out);
    } else if (const auto* imported = std::get_if<Imported>(&report)) {
      on_imported(*imported, now);
    } else if (const auto* committed = std::get_if<Committed>(&report)) {
      on_committed(*committed, now, out);
    } else if (const auto* drawn = std::get_if<Drawn>(&report)) {
      on_drawn(*drawn, out);
    } else if (const auto* prefilled = std::get_if<Prefilled>(&report)) {
      on_prefilled(*prefilled, now, out);
    } else if (const auto* exported = std::get_if<Exported>(&report)) {
      on_exported(*exported, now, out);
    } else if (const auto* blocks = std::get_if<Blocks>(&report)) {
      publish_snapshot(engine, *blocks, out);
    }
  }
  for (auto& [gateway, entries] : batches) send_tokens(gateway, std::move(entries), out);
  if (options_.on_tick) options_.on_tick(*this);
}

/// Frees what nobody claimed.
void WorkerState::expire(TimePoint now, actors::Outbox& out) {
  std::vector<StreamKey> due;
  for (const auto& [key, stream] : streams_) {
    const bool waits = stream.phase != Phase::running;
    if ((waits && now >= stream.lease) || (stream.orphaned_at && now >= *stream.orphaned_at))
      due.push_back(key);
  }
  for (const StreamKey& key : due) {
    const auto at = streams_.find(key);
    Stream& stream = at->second;
    if (stream.phase != Phase::done) ++counters_.leases_expired;
    if (stream.orphaned_at && now >= *stream.orphaned_at) {
      erase_stream(at, now, out);
    } else if (stream.phase == Phase::importing) {
      fall_back(key, stream, {Errc::lease_expired, "no pages came for too long"}, now, out);
    } else if (stream.phase == Phase::prompt) {
      fail_stream(key, stream, {Errc::lease_expired, "the prompt did not follow its request"}, now, out);
    } else if (stream.phase == Phase::done) {
      erase_stream(at, now, out);
    } else {
      stream.lease = now + options_.lease;  // the engine has it and will answer
    }
  }
  std::vector<PrefillKey> jobs;
  for (const auto& [key, job] : prefills_)
    if (job.waits_for_prompt && now >= job.lease) jobs.push_back(key);
  for (const PrefillKey& key : jobs) {
    ++counters_.leases_expired;
    out.send(prefills_.at(key).decode,
             wire::PrefillDone{key.request, key.epoch,
                               wire::WireError{Errc::lease_expired, "the prompt did not follow its request"}},
             key.epoch);
    cancel_prefill(key.request, key.epoch);
  }
  expire_exports(now);
  counters_.leases_expired += static_cast<std::uint64_t>(
      std::erase_if(parked_, [&](const auto& entry) { return now >= entry.second.lease; }));
}

WorkerCounters WorkerState::counters() const {
  WorkerCounters out = counters_;
  out.streams = streams_.size();
  out.streams_running = static_cast<std::uint64_t>(std::count_if(
      streams_.begin(), streams_.end(), [](const auto& entry) { return entry.second.phase != Phase::done; }));
  out.prefills_running = prefills_.size();
  out.exports_running = exports_.size();
  out.prompts_parked = parked_.size();
  out.joined = joined();
  return out;
}

std::size_t WorkerState::active() const {
  const WorkerCounters now = counters();
  return static_cast<std::size_t>(now.streams_running + now.prefills_running + now.exports_running);
}

}  // namespace troupe::worker
