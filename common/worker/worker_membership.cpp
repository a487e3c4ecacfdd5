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
  message.draining = refuses_new();
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
  if (events.empty() || !options_.kv_to_router || !joined_ || feed.snapshot_pending)
    return;                                        // the snapshot will hold them
  std::map<std::pair<Tier, BlockKey>, bool> last;  // a block stored and dropped in one step is dropped
  for (const engine::KvEvent& event : events) last[{event.tier, event.key}] = event.stored;
  wire::KvUpdate update;
  std::size_t keys = 0;
  const auto flush = [&] {
    update.node = options_.node;
    update.model = models_[engine].info.id;
    update.sequence = ++feed.sequence;
    out.send(options_.router_address, update);
    update = {};
    keys = 0;
  };
  for (const auto& [block, stored] : last) {
    const auto& [tier, key] = block;
    if (tier == Tier::disk)
      (stored ? update.stored_on_disk : update.removed_from_disk).push_back(key);
    else
      (stored ? update.stored : update.removed).push_back(key);
    if (++keys == kKeysPerUpdate) flush();
  }
  if (keys != 0) flush();
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

void WorkerState::publish_snapshot(std::size_t engine, const Blocks& blocks, actors::Outbox& out) {
  Feed& feed = feeds_[engine];
  feed.snapshot_pending = false;
  if (!joined_) return;
  const std::size_t in_memory = blocks.keys.size(), all = in_memory + blocks.on_disk.size();
  std::size_t at = 0;
  do {
    wire::KvUpdate update;
    update.node = options_.node;
    update.model = models_[engine].info.id;
    update.sequence = ++feed.sequence;
    update.snapshot = at == 0;
    for (const std::size_t end = std::min(all, at + kKeysPerUpdate); at < end; ++at)
      at < in_memory ? update.stored.push_back(blocks.keys[at])
                     : update.stored_on_disk.push_back(blocks.on_disk[at - in_memory]);
    out.send(options_.router_address, update);
  } while (at < all);
}

void WorkerState::on_change_role(const wire::ChangeRole& order, TimePoint now, actors::Outbox& out) {
  const bool worker = order.role == wire::Role::prefill || order.role == wire::Role::decode;
  if (order.node != options_.node || !worker || draining_ || refused_) return;
  if (order.role == options_.role) {
    if (std::exchange(role_change_, std::nullopt)) next_beat_ = wake_at_ = now;  // it stays, and says so
    return;
  }
  if (role_change_) return;  // a repeat
  log::info("changing role", {{"name", options_.name}, {"drain_ms", order.drain_ms}});
  role_change_ = RoleChange{order.role, now + std::chrono::milliseconds(order.drain_ms)};
  beat(now, out);  // nothing more is placed here
  next_beat_ = wake_at_ = now + options_.heartbeat;
  change_role_if_drained(now, out);
}

void WorkerState::change_role_if_drained(TimePoint now, actors::Outbox& out) {
  if (!role_change_ || (active() != 0 && now < role_change_->deadline)) return;
  options_.role = role_change_->to;
  role_change_.reset();
  ++counters_.role_changes;
  joined_ = false;  // a beat joins, until the router has answered
  beat(now, out);
  next_beat_ = now + options_.heartbeat;
}

void WorkerState::leave(actors::Outbox& out) {
  if (joined_) out.send(options_.router_address, wire::Leave{options_.node, "drained"});
  joined_ = false;
  refused_ = true;  // says nothing more
}

}  // namespace troupe::worker
