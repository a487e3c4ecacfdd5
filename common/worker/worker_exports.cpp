// Cached pages for peers that ask, and what a draining worker asks of gateways: to take its streams
// elsewhere. Both are one mechanism: whoever takes a stream fetches its pages by their keys, like those of
// any cached prompt.
#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {
constexpr std::size_t kStreamsPerOffer = 2000;  // 20 bytes each: below the control plane's size
}

void WorkerState::on_fetch(const std::string& from, wire::KvFetch order, TimePoint now, actors::Outbox& out) {
  const auto refuse = [&](Errc code, std::string detail) {
    ++counters_.exports_failed;
    wire::KvFetched answer{
        order.request, order.epoch, order.lease, wire::WireError{code, std::move(detail)}, true, 0};
    out.send(from, answer, order.epoch);
  };
  auto at = exports_.find(order.lease);
  if (at != exports_.end() && at->second.running)  // asked again: it goes on
    return out.send(from, wire::KvFetched{order.request, order.epoch, order.lease, std::nullopt, false, 0},
                    order.epoch);
  if (at == exports_.end() || order.first_block == 0) {
    const auto engine = engine_of(order.model);
    if (!engine)
      return refuse(Errc::numerics_mismatch,
                    options_.name + " holds no pages of model id " + to_hex(order.model));
    if (order.blocks == 0 || order.blocks > wire::kMaxBlocks.max || order.skip_tokens % kBlockTokens != 0 ||
        order.data_address.empty() || order.lease == LeaseId{})
      return refuse(Errc::wire_malformed, "a KvFetch asks for " + std::to_string(order.blocks) +
                                              " blocks from token " + std::to_string(order.skip_tokens));
    if (exports_.size() >= options_.max_exports)
      return refuse(Errc::queue_full, options_.name + " sends enough pages");
    ExportJob job;
    job.to = from;
    job.engine = *engine;
    job.order = order;
    job.order.keys.clear();
    if (order.trace.recorded())
      job.spans = std::make_unique<actors::SpanLog>(order.trace, span_source(order.request, order.epoch, 0), now);
    at = exports_.insert_or_assign(order.lease, std::move(job)).first;
  }
  ExportJob& job = at->second;
  job.lease = now + options_.lease;
  std::vector<BlockKey>& keys = job.order.keys;
  if (order.first_block != keys.size() || keys.size() + order.keys.size() > job.order.blocks)
    return;  // asked for again
  keys.insert(keys.end(), order.keys.begin(), order.keys.end());
  if (keys.size() < job.order.blocks) return;
  job.running = true;
  job.engine_id = next_engine_id();
  export_of_[job.engine_id] = order.lease;
  door_.post(job.engine, Export{job.engine_id,
                                std::move(keys),
                                job.order.skip_tokens,
                                {order.request, order.epoch, order.lease},
                                job.order.data_address,
                                job.order.host});
}

void WorkerState::on_exported(const Exported& report, TimePoint now, actors::Outbox& out) {
  const auto found = export_of_.find(report.engine_id);
  if (found == export_of_.end()) return;  // cancelled meanwhile
  const auto at = exports_.find(found->second);
  const wire::KvFetch& order = at->second.order;
  wire::KvFetched answer{order.request, order.epoch, order.lease, std::nullopt, true, report.tokens};
  if (report.error)
    answer.error = wire::WireError{report.error->code, report.error->detail.substr(0, wire::kMaxDetail.max)};
  ++(report.error ? counters_.exports_failed : counters_.exports);
  tell_export(at->second, report, now, out);
  out.send(at->second.to, answer, order.epoch);
  exports_.erase(at);
  export_of_.erase(found);
}

void WorkerState::cancel_export(LeaseId lease) {
  const auto at = exports_.find(lease);
  if (at == exports_.end()) return;
  if (at->second.running) {
    door_.post(at->second.engine, CancelRequest{at->second.engine_id});
    export_of_.erase(at->second.engine_id);
  }
  exports_.erase(at);
}

/// Orders of which a part is missing; those under way end by the data plane's time-outs.
void WorkerState::expire_exports(TimePoint now) {
  counters_.leases_expired += static_cast<std::uint64_t>(std::erase_if(
      exports_, [&](const auto& entry) { return !entry.second.running && now >= entry.second.lease; }));
}

void WorkerState::offer_streams(TimePoint now, actors::Outbox& out) {
  offer_at_ = now + options_.offer_again;
  std::map<std::string, wire::Handover> offers;
  const auto send = [&](const std::string& gateway, wire::Handover& offer) {
    if (!offer.streams.empty()) out.send(gateway, offer);
    offer.streams.clear();
  };
  for (auto& [key, stream] : streams_) {
    if (stream.phase == Phase::done || stream.orphaned_at) continue;
    wire::Handover& offer = offers[stream.gateway];
    offer.node = options_.node;
    if (!std::exchange(stream.offered, true)) ++counters_.offered;
    const std::pair<RequestId, Epoch> name{key.request, key.epoch};
    if (!offer.streams.empty() && offer.streams.back() == name) continue;  // another choice of the same
    offer.streams.push_back(name);
    if (offer.streams.size() == kStreamsPerOffer) send(stream.gateway, offer);
  }
  for (auto& [gateway, offer] : offers) send(gateway, offer);
}

}  // namespace troupe::worker
