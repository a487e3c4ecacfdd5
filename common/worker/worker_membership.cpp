// A worker in its cluster: joins, beats, and tells its routers which blocks it holds.
#include <algorithm>

#include "common/base/log.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {
constexpr std::size_t kKeysPerUpdate = 2000;  // 16 bytes each: below the control plane's size
}

bool WorkerState::joined() const {
  return std::any_of(routers_.begin(), routers_.end(), [](const RouterLink& link) { return link.joined; });
}

// A router signs with the address it advertises, which need not be the configured one.
WorkerState::RouterLink* WorkerState::link_of(const std::string& from) {
  RouterLink* unknown = nullptr;
  for (RouterLink& link : routers_) {
    if (link.address == from || link.known_as == from) return &link;
    if (unknown == nullptr && link.known_as.empty()) unknown = &link;
  }
  return unknown == nullptr && routers_.size() == 1 ? &routers_.front() : unknown;
}

void WorkerState::join(const RouterLink& link, actors::Outbox& out) {
  wire::Join message;
  message.node = options_.node;
  message.role = options_.role;
  message.name = options_.name;
  message.control_address = options_.control_address;
  message.data_address = options_.data_address;
  for (const ServedModel& model : models_) message.models.push_back(model.info);
  out.send(link.address, message);
}

void WorkerState::beat(TimePoint, actors::Outbox& out) {
  if (left_) return;
  for (const RouterLink& link : routers_) {
    if (link.refused) continue;
    link.joined ? out.send(link.address, heartbeat()) : join(link, out);
  }
}

wire::Heartbeat WorkerState::heartbeat() const {
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
    load.prompt_tokens = stats.prompt_tokens;
    load.generated_tokens = stats.generated_tokens;
    load.cached_tokens = stats.cached_tokens;
    load.capacity = models_[i].capacity;
    message.loads.push_back(load);
  }
  return message;
}

void WorkerState::on_join_reply(const std::string& from, const wire::JoinReply& reply, TimePoint now) {
  RouterLink* link = link_of(from);
  if (link == nullptr) return;
  link->known_as = from;
  if (!reply.refused) {
    if (!link->joined) log::info("joined the cluster", {{"name", options_.name}, {"router", link->address}});
    link->joined = true;
    ask_snapshots();
    return;
  }
  link->joined = false;
  next_beat_ = wake_at_ = now;  // unknown to the router: announce again at once
  if (reply.refused->code != Errc::invalid_argument) return;
  link->refused = true;
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
  if (events.empty() || !options_.kv_to_router || !joined() || feed.snapshot_pending)
    return;                       // the snapshot will hold them
  std::map<BlockKey, bool> last;  // a block stored and dropped in one step is dropped
  for (const engine::KvEvent& event : events) last[event.key] = event.stored;
  wire::KvUpdate update{options_.node, models_[engine].info.id, 0, false, {}, {}};
  const auto flush = [&] {
    update.sequence = ++feed.sequence;
    tell_routers(update, out);
    update.stored.clear();
    update.removed.clear();
  };
  for (const auto& [key, stored] : last) {
    (stored ? update.stored : update.removed).push_back(key);
    if (update.stored.size() + update.removed.size() == kKeysPerUpdate) flush();
  }
  if (!update.stored.empty() || !update.removed.empty()) flush();
}

// One numbering for all: a router that missed some takes the snapshot that its join asks for, and so do the
// others.
void WorkerState::tell_routers(const wire::KvUpdate& update, actors::Outbox& out) const {
  for (const RouterLink& link : routers_)
    if (link.joined) out.send(link.address, update);
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
  if (!joined()) return;
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
    tell_routers(update, out);
    at = end;
  } while (at < keys.size());
}

void WorkerState::leave(actors::Outbox& out) {
  for (RouterLink& link : routers_)
    if (std::exchange(link.joined, false)) out.send(link.address, wire::Leave{options_.node, "drained"});
  left_ = true;  // says nothing more
}

}  // namespace troupe::worker
