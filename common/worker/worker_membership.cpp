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

// A router signs with the address it advertises, which need not be the configured one: its answer to a Join
// says which that was.
WorkerState::RouterLink* WorkerState::link_of(const std::string& from, const std::string& dialled) {
  for (RouterLink& link : routers_)
    if (!dialled.empty() && link.address == dialled) return &link;
  RouterLink* unknown = nullptr;
  for (RouterLink& link : routers_) {
    if (link.address == from || link.known_as == from) return &link;
    if (unknown == nullptr && link.known_as.empty()) unknown = &link;
  }
  return unknown == nullptr && routers_.size() == 1 ? &routers_.front() : unknown;
}

void WorkerState::meet_routers(const std::vector<std::string>& addresses, TimePoint now) {
  const auto listed = [&](const std::string& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  };
  const auto gone = [&](const RouterLink& link) { return !link.joined && !listed(link.address); };
  if (addresses.empty()) return;
  std::erase_if(routers_, gone);
  for (const std::string& address : addresses) {
    const auto is = [&](const RouterLink& link) { return link.address == address; };
    if (std::any_of(routers_.begin(), routers_.end(), is)) continue;
    routers_.push_back({address, {}});
    next_beat_ = wake_at_ = now;
  }
}

void WorkerState::join(const RouterLink& link, actors::Outbox& out) {
  wire::Join message;
  message.node = options_.node;
  message.role = options_.role;
  message.name = options_.name;
  message.control_address = options_.control_address;
  message.data_address = options_.data_address;
  for (const ServedModel& model : models_) {
    message.models.push_back(model.info);
    message.weights.push_back(model.weights);
  }
  message.dialled = link.address;
  message.release = options_.release;
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
  return message;
}

void WorkerState::on_join_reply(const std::string& from, const wire::JoinReply& reply, TimePoint now,
                                actors::Outbox& out) {
  RouterLink* link = link_of(from, reply.dialled);
  if (link == nullptr) return;
  if (!reply.dialled.empty() || link->known_as.empty()) link->known_as = from;
  if (reply.refused) return on_join_refused(*link, *reply.refused, now);
  // A router too old to compare releases takes everybody in.
  if (const auto fits = wire::check_neighbours(options_.release, reply.release); !fits) {
    out.send(link->address, wire::Leave{options_.node, "its release does not serve with the router's"});
    link->refused = true;
    return on_join_refused(*link, {fits.error().code, fits.error().detail}, now);
  }
  if (!link->joined) log::info("joined the cluster", {{"name", options_.name}, {"router", link->address}});
  link->joined = true;
  link->told.clear();
  ask_snapshots();
}

void WorkerState::on_join_refused(RouterLink& link, const wire::WireError& why, TimePoint now) {
  link.joined = false;
  if (why.code == Errc::wire_version) ++counters_.release_refusals;
  if (why.code == Errc::peer_lost) {
    next_beat_ = wake_at_ = now;  // unknown to the router: announce again at once
    return;
  }
  if (why.code == Errc::invalid_argument) link.refused = true;
  // Else the next heartbeat asks again: members come and go.
  if (std::exchange(link.told, why.detail) == why.detail) return;
  log::error("the router refuses this node",
             {{"name", options_.name}, {"router", link.address}, {"reason", why.detail}});
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
    return;                                        // the snapshot will hold them
  std::map<std::pair<Tier, BlockKey>, bool> last;  // a block stored and dropped in one step is dropped
  for (const engine::KvEvent& event : events) last[{event.tier, event.key}] = event.stored;
  wire::KvUpdate update;
  std::size_t keys = 0;
  const auto flush = [&] {
    update.node = options_.node;
    update.model = models_[engine].info.id;
    // One numbering for all routers: one that missed some takes the snapshot that its join asks for, and so do the
    // others.
    update.sequence = ++feed.sequence;
    tell_routers(update, out);
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
  if (!joined()) return;
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
    tell_routers(update, out);
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
  for (RouterLink& link : routers_) link.joined = false;  // a beat joins, until the router has answered
  beat(now, out);
  next_beat_ = now + options_.heartbeat;
}

void WorkerState::on_operate(const wire::Operate& order, TimePoint now, actors::Outbox& out) {
  if (order.node != options_.node) return;
  if (order.operation == wire::Operation::kill) {
    log::warn(options_.on_kill ? "killed by order" : "a kill order is refused", {{"name", options_.name}});
    if (options_.on_kill) options_.on_kill();
    return;
  }
  const bool out_of_work = order.operation == wire::Operation::drain;
  if (order.operation == wire::Operation::report || std::exchange(held_out_, out_of_work) == out_of_work) return;
  log::info(out_of_work ? "drained by order" : "taken back", {{"name", options_.name}});
  if (!out_of_work)
    for (auto& [key, stream] : streams_) stream.offered = false;
  beat(now, out);
  next_beat_ = now + options_.heartbeat;
  if (out_of_work) offer_streams(now, out);
}

void WorkerState::leave(actors::Outbox& out) {
  for (RouterLink& link : routers_)
    if (std::exchange(link.joined, false)) out.send(link.address, wire::Leave{options_.node, "drained"});
  left_ = true;  // says nothing more
}

}  // namespace troupe::worker
