// A worker in its cluster: joins, beats, and tells the router which blocks it holds.
#include "common/base/log.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {
constexpr std::size_t kKeysPerUpdate = 2000;  // 16 bytes each: below the control plane's size
}

void WorkerState::join(actors::Outbox& out) {
  wire::Join message;
  message.node = options_.node;
  message.role = options_.role;
  message.name = options_.name;
  message.control_address = options_.control_address;
  message.data_address = options_.data_address;
  for (const ServedModel& model : models_) message.models.push_back(model.info);
  out.send(options_.router_address, message);
}

void WorkerState::beat(TimePoint, actors::Outbox& out) {
  if (refused_) return;
  if (!joined_) return join(out);
  wire::Heartbeat message;
  message.node = options_.node;
  message.progress = door_.progress();
  message.busy = door_.busy();
  message.draining = draining_;
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const engine::EngineStats& stats = stats_[i];
    wire::Load load;
    load.model = models_[i].info.id;
    load.running = stats.running;
    load.waiting = stats.waiting;
    load.pages_total = stats.pages_total;
    load.pages_free = stats.pages_free;
    load.pages_cached = stats.pages_cached;
    load.pages_reserved = stats.pages_reserved;
    load.queued_prompt_tokens = stats.queued_prompt_tokens;
    load.prompt_tokens = stats.prompt_tokens;
    load.generated_tokens = stats.generated_tokens;
    load.cached_tokens = stats.cached_tokens;
    load.capacity = models_[i].capacity;
    message.loads.push_back(load);
  }
  out.send(options_.router_address, message);
}

void WorkerState::on_join_reply(const wire::JoinReply& reply, TimePoint now) {
  if (!reply.refused) {
    if (!joined_)
      log::info("joined the cluster", {{"name", options_.name}, {"router", options_.router_address}});
    joined_ = true;
    ask_snapshots();
    return;
  }
  joined_ = false;
  next_beat_ = wake_at_ = now;  // unknown to the router: announce again at once
  if (reply.refused->code != Errc::invalid_argument) return;
  refused_ = true;
  log::error("the router refuses this node", {{"name", options_.name}, {"reason", reply.refused->detail}});
}

void WorkerState::ask_snapshots() {
  if (!options_.kv_to_router) return;
  for (std::size_t i = 0; i < feeds_.size(); ++i) {
    if (std::exchange(feeds_[i].snapshot_pending, true)) continue;
    door_.post(i, ListBlocks{});
  }
}

void WorkerState::publish_kv(std::size_t engine, const std::vector<engine::KvEvent>& events,
                             actors::Outbox& out) {
  Feed& feed = feeds_[engine];
  if (events.empty() || !options_.kv_to_router || !joined_ || feed.snapshot_pending) return;  // the snapshot will hold them
  std::map<BlockKey, bool> last;  // a block stored and dropped in one step is dropped
  for (const engine::KvEvent& event : events) last[event.key] = event.stored;
  wire::KvUpdate update{options_.node, models_[engine].info.id, 0, false, {}, {}};
  const auto flush = [&] {
    update.sequence = ++feed.sequence;
    out.send(options_.router_address, update);
    update.stored.clear();
    update.removed.clear();
  };
  for (const auto& [key, stored] : last) {
    (stored ? update.stored : update.removed).push_back(key);
    if (update.stored.size() + update.removed.size() == kKeysPerUpdate) flush();
  }
  if (!update.stored.empty() || !update.removed.empty()) flush();
}

void WorkerState::announce_kv(std::size_t engine, const std::vector<engine::KvEvent>& events) {
  if (!options_.kv_sink) return;
  auto batch = announcers_[engine].note(events);
  if (!batch.events.empty()) options_.kv_sink(engine, std::move(batch));
}

void WorkerState::announce_snapshots() {
  if (!options_.kv_sink) return;
  for (std::size_t i = 0; i < announcers_.size(); ++i)
    for (auto& batch : announcers_[i].snapshot()) options_.kv_sink(i, std::move(batch));
}

void WorkerState::publish_snapshot(std::size_t engine, const std::vector<BlockKey>& keys,
                                   actors::Outbox& out) {
  Feed& feed = feeds_[engine];
  feed.snapshot_pending = false;
  if (!joined_) return;
  std::size_t at = 0;
  do {
    wire::KvUpdate update;
    update.node = options_.node;
    update.model = models_[engine].info.id;
    update.sequence = ++feed.sequence;
    update.snapshot = at == 0;
    const std::size_t end = std::min(keys.size(), at + kKeysPerUpdate);
    update.stored.assign(keys.begin() + static_cast<std::ptrdiff_t>(at),
                         keys.begin() + static_cast<std::ptrdiff_t>(end));
    out.send(options_.router_address, update);
    at = end;
  } while (at < keys.size());
}

void WorkerState::leave(actors::Outbox& out) {
  if (joined_) out.send(options_.router_address, wire::Leave{options_.node, "drained"});
  joined_ = false;
  refused_ = true;  // says nothing more
}

}  // namespace troupe::worker
