#include "services/router/router_state.hpp"

#include <algorithm>

#include "common/actors/delivery.hpp"
#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"

namespace troupe::router {
namespace {
constexpr std::uint32_t kRetryAfterMs = 1000;
}

Expected<std::unique_ptr<RouterState>> RouterState::create(const RouterOptions& options) {
  auto policy = make_router_policy(options.policy);
  if (!policy) return tl::unexpected<Error>(policy.error());
  return std::unique_ptr<RouterState>(new RouterState(options, std::move(*policy)));
}

RouterState::RouterState(const RouterOptions& options, std::unique_ptr<RouterPolicy> policy)
    : options_(options),
      policy_(std::move(policy)),
      view_(options.node_timeout, options.hang_limit, options.max_nodes),
      prefixes_({.max_blocks = options.max_index_blocks, .ask_again = options.heartbeat}),
      feeds_(options.event_sources, [this](const std::string& topic) { return publisher_of(topic); }),
      workers_(options.node) {}

void RouterState::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                          actors::Outbox& out) {
  actors::Delivery delivery("router", from, message, counters_.malformed);
  delivery.on<wire::Join>([&](const wire::Join& m) { on_join(from, m, now, out); });
  delivery.on<wire::Heartbeat>([&](const wire::Heartbeat& m) { on_heartbeat(from, m, now, out); });
  delivery.on<wire::KvUpdate>([&](const wire::KvUpdate& m) { on_kv_update(from, m, now, out); });
  delivery.on<wire::PlaceRequest>([&](const wire::PlaceRequest& m) { on_place(from, m, now, out); });
  delivery.on<wire::RequestEnded>([&](const wire::RequestEnded& m) { on_ended(m); });
  delivery.on<wire::Leave>([&](const wire::Leave& m) {
    auto left = view_.leave(m.node, m.reason);
    if (!left) return;
    left->died = false;
    gone(*left, out);
  });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, wire::Pong{m.number, options_.node}); });
  delivery.end();
}

void RouterState::on_join(const std::string& from, const wire::Join& join, TimePoint now,
                          actors::Outbox& out) {
  wire::JoinReply reply;
  reply.router = options_.node;
  reply.heartbeat_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.heartbeat).count());
  const bool known = view_.find(join.node) != nullptr;
  auto replaced = view_.join(join, now);
  if (!replaced) {
    reply.refused = wire::WireError{replaced.error().code, replaced.error().detail};
    out.send(from, reply);
    return;
  }
  for (const GoneNode& node : *replaced) gone(node, out);
  if (!known) {
    ++counters_.joins;
    log::info("node joined", {{"name", join.name}, {"address", join.control_address}});
  } else {
    prefixes_.rejoined(join.node);  // it sends a snapshot after every reply
  }
  out.send(from, reply);
  if (join.role == wire::Role::gateway) {
    pushed_ = view_.models();
    if (workers_.parts().empty()) (void)workers_.update(view_);
    for (const wire::WorkerTable& part : workers_.parts()) out.send(from, part);  // before the models: a model has workers
    out.send(from, pushed_);
  }
  push_models(out);
}

void RouterState::on_heartbeat(const std::string& from, const wire::Heartbeat& beat, TimePoint now,
                               actors::Outbox& out) {
  if (!view_.beat(beat, now)) {
    out.send(from, wire::JoinReply{options_.node, wire::WireError{Errc::peer_lost, "not a member"}, 500});
    return;
  }
  for (const wire::Load& load : beat.loads)
    prefixes_.holds_at_most(beat.node, load.model,
                            std::size_t{load.pages_total - std::min(load.pages_total, load.pages_free)} * kBlocksPerPage,
                            now);
  push_models(out);
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

void RouterState::on_place(const std::string& from, const wire::PlaceRequest& request, TimePoint now,
                           actors::Outbox& out) {
  const auto known = placements_.find(request.request);
  if (known != placements_.end()) {
    const Epoch epoch = known->second.answer.epoch;
    if (epoch == request.epoch)
      return out.send(from, known->second.answer, request.epoch);  // its answer was lost
    if (epoch > request.epoch) return;
    release(known->second);
    placements_.erase(known);
  }
  auto placement =
      draining_ ? Expected<wire::Placement>(fail(Errc::draining, "the router stops")) : place(request, now);
  if (placement && placements_.size() >= options_.max_placements)
    placement =
        fail(Errc::queue_full, std::to_string(placements_.size()) + " requests are in flight, the limit");
  if (!placement) {
    ++counters_.refused;
    out.send(
        from,
        wire::PlaceRefused{request.request, request.epoch,
                           wire::WireError{placement.error().code, placement.error().detail}, kRetryAfterMs},
        request.epoch);
    return;
  }
  Placed placed{*placement, std::max(1u, request.choices), {}, from};
  placed.lease = now + options_.lease +
                 (request.deadline_ms != 0 ? Duration(std::chrono::milliseconds(request.deadline_ms))
                                           : std::chrono::hours(1));
  view_.find(placement->decode)->placed += placed.choices;
  if (placement->prefill) ++view_.find(*placement->prefill)->placed_prefills;
  placements_.emplace(request.request, std::move(placed));
  out.send(from, *placement, request.epoch);
}

std::vector<Candidate> RouterState::candidates(const std::vector<const Node*>& nodes,
                                               const wire::PlaceRequest& request, const ModelId& model,
                                               bool prefill) {
  std::vector<NodeId> ids;
  for (const Node* node : nodes) ids.push_back(node->identity.node);
  const auto prefix = prefixes_.cached(model, ids, request.blocks);
  std::vector<Candidate> out;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = *nodes[i];
    Candidate c;
    c.node = ids[i];
    c.name = node.identity.name;
    c.cached_tokens = prefix[i].blocks * kBlockTokens;
    c.predicted = prefix[i].predicted;
    c.load = prefill ? node.placed_prefills : node.placed;
    if (const wire::Load* load = node.load(model)) {
      c.load = std::max(c.load, load->running + load->waiting);
      c.capacity = load->capacity;
      c.pages_total = load->pages_total;
      c.pages_available = load->pages_free + load->pages_cached;
    }
    out.push_back(c);
  }
  return out;
}

Expected<wire::Placement> RouterState::place(const wire::PlaceRequest& request, TimePoint now) {
  const auto model = view_.model_named(request.model);
  if (!model) return fail(Errc::model_not_found, "no worker serves a model named \"" + request.model + "\"");
  auto nodes = view_.ready(wire::Role::decode, model->id);
  const auto avoided = [&](const Node* node) {
    return std::find(request.avoid.begin(), request.avoid.end(), node->identity.node) != request.avoid.end();
  };
  // A worker that just failed this request is taken only when there is no other.
  if (!std::all_of(nodes.begin(), nodes.end(), avoided)) std::erase_if(nodes, avoided);
  if (nodes.empty())
    return fail(Errc::no_ready_worker, "no decode worker for \"" + request.model + "\" is ready");
  const RequestView what{request.prompt_tokens, request.max_tokens, request.choices};
  const auto choices = candidates(nodes, request, model->id, false);
  const auto decision = policy_->choose(what, choices);
  if (!decision) return tl::unexpected<Error>(decision.error());
  const Candidate& chosen = choices[decision->index];
  const wire::Join& decode = nodes[decision->index]->identity;
  wire::Placement out;
  out.request = request.request;
  out.epoch = request.epoch;
  out.decode = decode.node;
  out.decode_address = decode.control_address;
  out.decode_data_address = decode.data_address;
  out.cached_tokens = std::min(chosen.cached_tokens, request.prompt_tokens);
  out.reason = decision->reason;
  (decision->reason == "prefix" ? counters_.placed_by_prefix : counters_.placed_by_load) += 1;
  counters_.cached_tokens += out.cached_tokens;
  if (chosen.predicted) counters_.predicted_tokens += out.cached_tokens;
  if (chosen.predicted && decision->reason == "prefix") out.reason = "predicted prefix";
  prefixes_.placed(out.decode, model->id, request.blocks, now);
  counters_.prompt_tokens += request.prompt_tokens;
  if (request.prompt_tokens - out.cached_tokens < options_.min_prompt_tokens) return out;
  auto prefillers = view_.ready(wire::Role::prefill, model->id);
  if (!std::all_of(prefillers.begin(), prefillers.end(), avoided)) std::erase_if(prefillers, avoided);
  const auto offers = candidates(prefillers, request, model->id, true);
  const auto prefill = policy_->choose(what, offers);
  if (!prefill) return out;  // none is ready or all are full: the decode worker prefills
  const wire::Join& helper = prefillers[prefill->index]->identity;
  ++counters_.placed_with_prefill;
  prefixes_.placed(helper.node, model->id, request.blocks, now);
  out.prefill = helper.node;
  out.prefill_address = helper.control_address;
  out.prefill_data_address = helper.data_address;
  return out;
}

void RouterState::release(const Placed& placed) {
  if (Node* decode = view_.find(placed.answer.decode))
    decode->placed -= std::min(decode->placed, placed.choices);
  if (!placed.answer.prefill) return;
  if (Node* prefill = view_.find(*placed.answer.prefill))
    prefill->placed_prefills -= std::min(prefill->placed_prefills, 1u);
}

void RouterState::on_ended(const wire::RequestEnded& ended) {
  const auto found = placements_.find(ended.request);
  if (found == placements_.end() || found->second.answer.epoch > ended.epoch) return;
  release(found->second);
  placements_.erase(found);
}

void RouterState::tell_gone(const NodeId& node, const std::string& reason, bool died, actors::Outbox& out) {
  for (const auto& [id, other] : view_.nodes())
    if (other.identity.role == wire::Role::gateway)
      out.send(other.identity.control_address, wire::WorkerGone{node, reason, died});
}

void RouterState::gone(const GoneNode& gone_node, actors::Outbox& out) {
  const wire::Join& who = gone_node.node.identity;
  ++counters_.losses;
  log::warn("node gone", {{"name", who.name}, {"reason", gone_node.reason}});
  prefixes_.forget(who.node);
  feeds_.forget(who.node);
  if (who.role != wire::Role::gateway) {
    tell_gone(who.node, gone_node.reason, gone_node.died, out);
  } else {  // nobody will say that its requests ended
    for (const auto& [id, placed] : placements_)
      if (placed.gateway == who.control_address) release(placed);
    std::erase_if(placements_,
                  [&](const auto& entry) { return entry.second.gateway == who.control_address; });
  }
  push_models(out);
}

void RouterState::peer_lost(const std::string& address, TimePoint, actors::Outbox& out) {
  if (auto lost = view_.lose(address)) gone(*lost, out);
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

void RouterState::tick(TimePoint now, actors::Outbox& out) {
  std::vector<NodeId> hung;
  for (const GoneNode& node : view_.expire(now, hung)) gone(node, out);
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
    release(at->second);
    at = placements_.erase(at);
  }
  prefixes_.tick(now);
  for (std::size_t source = 0; source < feeds_.sources(); ++source) act(source, feeds_.tick(source, now), out);
  if (options_.on_tick) options_.on_tick(*this);
  wake_at_ = now + std::min(options_.heartbeat, options_.node_timeout / 4);
}

}  // namespace troupe::router
