#include "services/router/router_state.hpp"

#include <algorithm>

#include "common/actors/delivery.hpp"
#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"
#include "services/router/policies/able.hpp"

namespace troupe::router {
namespace {
constexpr std::size_t kCheckedAtOnce = 1024;  // of a gateway: below the control plane's size
}

RouterOptions::RouterOptions() = default;

Expected<std::unique_ptr<RouterState>> RouterState::create(const RouterOptions& options) {
  auto policy = make_router_policy(options.policy, {options.first_token_slo});
  if (!policy) return tl::unexpected<Error>(policy.error());
  return std::unique_ptr<RouterState>(new RouterState(options, std::move(*policy)));
}

RouterState::RouterState(const RouterOptions& options, std::unique_ptr<RouterPolicy> policy)
    : options_(options),
      policy_(std::move(policy)),
      releases_(options.release),
      view_(options.node_timeout, options.hang_limit, options.max_nodes),
      suspects_(options.verdict_after),
      prefixes_({.max_blocks = options.max_index_blocks, .ask_again = options.heartbeat}),
      transfers_({.byte = 1e6 / options.transfer_bytes_per_second}),
      log_(options.explained_placements),
      ticket_(options.node.high ^ options.node.low),
      feeds_(options.event_sources, [this](const std::string& topic) { return publisher_of(topic); }),
      planner_(options.planner),
      workers_(options.node),
      reports_(options.node) {}

Expected<void> RouterState::tune(const RouterTuning& tuning) {
  auto policy = make_router_policy(tuning.policy, {tuning.first_token_slo});
  if (!policy) return tl::unexpected<Error>(policy.error());
  policy_ = std::move(*policy);
  static_cast<RouterTuning&>(options_) = tuning;
  return {};
}

void RouterState::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                          actors::Outbox& out) {
  actors::Delivery delivery("router", from, message, counters_.malformed);
  delivery.on<wire::Join>([&](const wire::Join& m) { on_join(from, m, now, out); });
  delivery.on<wire::Heartbeat>([&](const wire::Heartbeat& m) { on_heartbeat(from, m, now, out); });
  delivery.on<wire::KvUpdate>([&](const wire::KvUpdate& m) { on_kv_update(from, m, now, out); });
  delivery.on<wire::PlaceRequest>([&](const wire::PlaceRequest& m) { on_place(from, m, now, out); });
  delivery.on<wire::RequestEnded>([&](const wire::RequestEnded& m) { on_ended(m, now); });
  delivery.on<wire::RequestStarted>([&](const wire::RequestStarted& m) { on_started(m, now); });
  delivery.on<wire::PagesMoved>([&](const wire::PagesMoved& m) { on_moved(m, now); });
  delivery.on<wire::Leave>([&](const wire::Leave& m) {
    auto left = view_.leave(m.node, m.reason);
    if (!left) return;
    left->end = GoneNode::End::left;
    gone(*left, now, out);
  });
  delivery.on<wire::Operate>([&](const wire::Operate& m) {
    if (m.operation == wire::Operation::report) reports_.ask(from, now);
  });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, wire::Pong{m.number, options_.node}); });
  delivery.end();
}

wire::JoinReply RouterState::join_reply(const Error* refused) const {
  wire::JoinReply reply;
  reply.router = options_.node;
  if (refused != nullptr) reply.refused = wire::WireError{refused->code, refused->detail};
  reply.heartbeat_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.heartbeat).count());
  reply.release = releases_.own();
  return reply;
}

void RouterState::on_join(const std::string& from, const wire::Join& join, TimePoint now,
                          actors::Outbox& out) {
  const auto answer = [&](const Error* refused) {
    wire::JoinReply reply = join_reply(refused);
    reply.dialled = join.dialled;
    out.send(from, reply);
  };
  if (const auto fits = releases_.admit(join, view_); !fits) {
    if (releases_.is_news(join))
      log::warn("a node is refused for its release",
                {{"address", join.control_address}, {"why", fits.error().detail}});
    return answer(&fits.error());
  }
  const bool known = view_.find(join.node) != nullptr;
  auto replaced = view_.join(join, now);
  if (!replaced) return answer(&replaced.error());
  for (const GoneNode& node : *replaced) gone(node, now, out);
  for (const NodeId& dead : suspects_.joined(join.node, join.name))
    tell_gone(dead, "replaced by a new process", true, out);
  if (!known) {
    ++counters_.joins;
    log::info("node joined", {{"name", join.name}, {"address", join.control_address}});
  } else {
    prefixes_.rejoined(join.node);  // it sends a snapshot after every reply
  }
  answer(nullptr);
  if (join.role == wire::Role::gateway) {
    pushed_ = view_.models();
    if (workers_.parts().empty()) (void)workers_.update(view_);
    for (const wire::WorkerTable& part : workers_.parts())
      out.send(from, part);  // before the models: a model has workers
    out.send(from, pushed_);
  }
  push_models(out);
}

void RouterState::on_heartbeat(const std::string& from, const wire::Heartbeat& beat, TimePoint now,
                               actors::Outbox& out) {
  const Node* before = view_.find(beat.node);
  const bool was_ready = before != nullptr && before->ready();
  if (!view_.beat(beat, now)) {
    const Error unknown{Errc::peer_lost, "not a member"};
    out.send(from, join_reply(&unknown));
    return;
  }
  double queued = 0, token_us = 0;
  std::uint64_t computed = 0;
  const bool prefill = view_.find(beat.node)->identity.role == wire::Role::prefill;
  for (const wire::Load& load : beat.loads) {
    queued += load.queued_prompt_tokens;
    computed += load.prompt_tokens;
    token_us = std::max(token_us, costs_.costs(beat.node, load.model, prefill, now).token);
  }
  book_.reported(beat.node, queued, token_us, now);
  drain_.heard(beat.node, computed, static_cast<std::uint64_t>(queued), now);
  for (const wire::Load& load : beat.loads)
    prefixes_.holds_at_most(
        beat.node, load.model,
        std::size_t{load.pages_total - std::min(load.pages_total, load.pages_free)} * kBlocksPerPage, now);
  if (view_.find(beat.node)->ready() != was_ready) push_models(out);  // its cost is that of all nodes
}

void RouterState::on_kv_update(const std::string& from, const wire::KvUpdate& update, TimePoint now,
                               actors::Outbox& out) {
  const Node* node = view_.find(update.node);
  if (node == nullptr || !node->serves(update.model)) return;
  ++counters_.kv_updates;
  const std::uint64_t gaps = prefixes_.gaps();
  if (prefixes_.update(update, now)) out.send(from, wire::KvSnapshotRequest{update.node, update.model});
  counters_.kv_gaps += prefixes_.gaps() - gaps;
}

std::optional<Publisher> RouterState::publisher_of(const std::string& topic) const {
  const auto own = parse_topic(topic);
  if (!own) {
    const auto id = Hasher().text("kv-events").text(topic).finish<NodeId>();
    return Publisher{id, ModelId{id.high, id.low}, false};
  }
  const Node* node = view_.find(own->first);
  if (node == nullptr) return std::nullopt;
  for (const wire::ModelInfo& model : node->identity.models)
    if (model.name == own->second) return Publisher{own->first, model.id, true};
  return std::nullopt;
}

void RouterState::on_kv_events(std::size_t source, const std::string& topic, std::uint64_t number,
                               std::span<const std::uint8_t> payload, TimePoint now, actors::Outbox& out) {
  if (source < feeds_.sources()) act(source, feeds_.take(source, topic, number, payload, now), out);
}

void RouterState::on_replay_ended(std::size_t source, TimePoint now, actors::Outbox& out) {
  if (source < feeds_.sources()) act(source, feeds_.replay_ended(source, now), out);
}

void RouterState::act(std::size_t source, const FeedActions& actions, actors::Outbox& out) {
  const Publisher* publisher = feeds_.publisher(source);
  if (publisher == nullptr) return;
  for (const kv_events::EventBatch& batch : actions.apply)
    prefixes_.apply(publisher->node, publisher->model, batch);
  if (actions.replay_from && options_.ask_replay) options_.ask_replay(source, *actions.replay_from);
  const Node* node = actions.snapshot ? view_.find(publisher->node) : nullptr;
  if (node != nullptr)
    out.send(node->identity.control_address, wire::KvSnapshotRequest{publisher->node, publisher->model});
}

void RouterState::tell_gone(const NodeId& node, const std::string& reason, bool died, actors::Outbox& out) {
  for (const auto& [id, other] : view_.nodes())
    if (other.identity.role == wire::Role::gateway)
      out.send(other.identity.control_address, wire::WorkerGone{node, reason, died});
}

void RouterState::gone(const GoneNode& gone_node, TimePoint now, actors::Outbox& out) {
  const wire::Join& who = gone_node.node.identity;
  ++counters_.losses;
  log::warn("node gone", {{"name", who.name}, {"reason", gone_node.reason}});
  prefixes_.forget(who.node);
  breakers_.forget(who.node);
  book_.forget(who.node);
  costs_.forget(who.node);
  drain_.forget(who.node);
  transfers_.forget(who.node);
  feeds_.forget(who.node);
  if (who.role != wire::Role::gateway) {
    if (gone_node.end == GoneNode::End::lost) suspects_.lost(who.node, who.name, now);
    tell_gone(who.node, gone_node.reason, gone_node.end == GoneNode::End::died, out);
  } else {  // nobody will say that its requests ended
    for (auto& [id, placed] : placements_)
      if (placed.gateway == who.control_address) release(id, placed, now);
    std::erase_if(placements_,
                  [&](const auto& entry) { return entry.second.gateway == who.control_address; });
  }
  push_models(out);
}

void RouterState::peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) {
  if (auto lost = view_.lose(address)) gone(*lost, now, out);
}

void RouterState::push_models(actors::Outbox& out) {
  if (workers_.update(view_)) {
    for (const auto& [id, node] : view_.nodes())
      if (node.identity.role == wire::Role::gateway)
        for (const wire::WorkerTable& part : workers_.parts()) out.send(node.identity.control_address, part);
  }
  wire::ModelTable table = view_.models();
  auto bytes = wire::encode(table);
  if (bytes == pushed_bytes_) return;
  pushed_ = std::move(table);
  pushed_bytes_ = std::move(bytes);
  for (const auto& [id, node] : view_.nodes())
    if (node.identity.role == wire::Role::gateway) out.send(node.identity.control_address, pushed_);
}

/// Asks gateways after placements that are old enough for their end to have been lost.
void RouterState::check_placements(TimePoint now, actors::Outbox& out) {
  if (now < check_at_) return;
  check_at_ = now + options_.placement_check;
  std::map<std::string_view, wire::PlacementCheck> checks;
  for (const auto& [id, placed] : placements_) {
    auto& list = checks[placed.gateway].placements;
    if (now - placed.placed >= options_.placement_check && list.size() < kCheckedAtOnce)
      list.emplace_back(id, placed.answer.epoch);
  }
  for (auto& [gateway, check] : checks)
    if (!check.placements.empty()) out.send(std::string(gateway), check);
}

/// A table that was lost or damaged on its way would leave a gateway with an old one until the next change.
void RouterState::repeat_tables(TimePoint now, actors::Outbox& out) {
  if (now < repeat_at_) return;
  repeat_at_ = now + options_.table_repeat;
  for (const auto& [id, node] : view_.nodes()) {
    if (node.identity.role != wire::Role::gateway) continue;
    for (const wire::WorkerTable& part : workers_.parts()) out.send(node.identity.control_address, part);
    out.send(node.identity.control_address, pushed_);
  }
}

/// The mean over workers of what their first tokens taught; none before the first did.
std::optional<StepCosts> RouterState::step_costs(TimePoint now) const {
  TtftCoefficients decode{0, 0, 0, 0}, prefill{0, 0, 0, 0};
  double decoders = 0, prefillers = 0, token_bytes = 0;
  for (const auto& [id, node] : view_.nodes()) {
    const bool prefills = node.identity.role == wire::Role::prefill;
    if (!node.ready() || node.identity.models.empty() || (!prefills && node.identity.role != wire::Role::decode))
      continue;
    const wire::ModelInfo& model = node.identity.models.front();
    const TtftCoefficients costs = costs_.costs(id, model.id, prefills, now);
    TtftCoefficients& sum = prefills ? prefill : decode;
    sum.base += costs.base;
    sum.token += costs.token;
    sum.row += costs.row;
    (prefills ? prefillers : decoders) += 1;
    token_bytes = std::max(token_bytes, static_cast<double>(model.layers) * model.layer_page_bytes / kPageTokens);
  }
  if (costs_.size() == 0 || decoders == 0) return std::nullopt;
  StepCosts out;
  out.base = decode.base / decoders;
  out.row = decode.row / decoders;
  out.token = prefillers > 0 ? prefill.token / prefillers : decode.token / decoders;  // of who computes the long ones
  out.transfer = token_bytes / options_.transfer_bytes_per_second * 1e6;
  return out;
}

/// Asks at most one worker to change between prefill and decode.
void RouterState::plan_roles(TimePoint now, actors::Outbox& out) {
  std::vector<WorkerSample> workers;
  for (const auto& [id, node] : view_.nodes())
    if (const auto sample = sample_of(node)) workers.push_back(*sample);
  planner_.observe(workers, step_costs(now), now);
  if (!options_.planner.enabled || draining_) return;
  const auto change = planner_.decide(workers, now);
  if (!change) return;
  ++counters_.role_changes;
  const wire::Join& worker = view_.find(change->node)->identity;
  log::info("a worker changes its role", {{"name", worker.name},
                                          {"to", change->to == wire::Role::prefill ? "prefill" : "decode"},
                                          {"prefill_pressure", planner_.pressure(wire::Role::prefill)},
                                          {"decode_pressure", planner_.pressure(wire::Role::decode)}});
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options_.planner.drain_limit);
  out.send(worker.control_address,
           wire::ChangeRole{change->node, change->to, static_cast<std::uint32_t>(limit.count())});
}

void RouterState::tick(TimePoint now, actors::Outbox& out) {
  std::vector<NodeId> hung;
  for (const GoneNode& node : view_.expire(now, hung)) gone(node, now, out);
  for (const NodeId& dead : suspects_.dead(now)) tell_gone(dead, "it did not come back", true, out);
  for (const NodeId& node : hung) {
    ++counters_.hangs;
    log::error("node hangs", {{"name", view_.find(node)->identity.name}});
    tell_gone(node, "no progress under work", true, out);
  }
  if (!hung.empty()) push_models(out);
  for (auto at = placements_.begin(); at != placements_.end();) {
    if (now < at->second.lease) {
      ++at;
      continue;
    }
    ++counters_.leases_expired;
    release(at->first, at->second, now);
    at = placements_.erase(at);
  }
  plan_roles(now, out);
  repeat_tables(now, out);
  check_placements(now, out);
  prefixes_.tick(now);
  for (std::size_t source = 0; source < feeds_.sources(); ++source)
    act(source, feeds_.tick(source, now), out);
  if (reports_.wanted()) reports_.tell(view_, log_, now, out);
  if (options_.on_tick) options_.on_tick(*this);
  wake_at_ = now + std::min(options_.heartbeat, options_.node_timeout / 4);
}

}  // namespace troupe::router
