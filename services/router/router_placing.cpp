// From a request to a placement: what the router knows of every worker goes to the policy, what it decides
// into the books.
#include <algorithm>

#include "common/base/hash.hpp"
#include "services/router/policies/able.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {
namespace {

constexpr double kMeanShare = 0.1;  // of the newest in a running mean
// Prompts are alike for consistent hashing when so many tokens are.
constexpr std::uint32_t kBeginningTokens = 1024;

double microseconds(Duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void add_to_mean(double& mean, double value) {
  mean += (mean == 0 ? 1 : kMeanShare) * (value - mean);
}

std::uint64_t tenant_of(const wire::PlaceRequest& request) {
  return Hasher().text(request.tenant).finish<BlockKey>().low;
}

}  // namespace

void RouterState::on_place(const std::string& from, const wire::PlaceRequest& request, TimePoint now,
                           actors::Outbox& out) {
  const auto known = placements_.find(request.request);
  if (known != placements_.end()) {
    const Epoch epoch = known->second.answer.epoch;
    if (epoch == request.epoch)
      return out.send(from, known->second.answer, request.epoch);  // its answer was lost
    if (epoch > request.epoch) return;
    const Node* had = view_.find(known->second.answer.decode);
    // One that drains hands its streams over: no failure.
    if (had != nullptr && !had->draining &&
        std::find(request.avoid.begin(), request.avoid.end(), had->identity.node) != request.avoid.end())
      breakers_.failed(had->identity.node, now);
    release(request.request, known->second, now);
    placements_.erase(known);
  }
  Expected<Placed> placed = fail(Errc::draining, "the router stops");
  if (!draining_) placed = place(request, now);
  if (!placed) {
    ++counters_.refused;
    const Error& error = placed.error();
    return out.send(from,
                    wire::PlaceRefused{request.request, request.epoch,
                                       wire::WireError{error.code, error.detail}, retry_after_ms(error)},
                    request.epoch);
  }
  placed->gateway = from;
  placed->lease = now + options_.lease +
                  (request.deadline_ms != 0 ? Duration(std::chrono::milliseconds(request.deadline_ms))
                                            : std::chrono::hours(1));
  breakers_.placed(placed->answer.decode, now);
  out.send(from, placed->answer, request.epoch);
  placements_.emplace(request.request, std::move(*placed));
}

std::uint32_t RouterState::retry_after_ms(const Error& error) const {
  if (error.retry_after_ms != 0) return error.retry_after_ms;
  if (error.code == Errc::out_of_pages) return 0;  // no use: no worker can ever hold it
  // Workers that are away come back, or another router takes over, once silence has been noticed.
  const auto wait = error.code == Errc::draining ? 2 * options_.heartbeat : options_.node_timeout;
  return static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

RouterState::Nodes RouterState::ready_for(const wire::PlaceRequest& request, wire::Role role,
                                          const ModelId& model, TimePoint now) const {
  Nodes nodes = view_.ready(role, model);
  const auto avoided = [&](const Node* node) {
    return std::find(request.avoid.begin(), request.avoid.end(), node->identity.node) != request.avoid.end();
  };
  // A worker that just failed this request is taken only when there is no other.
  if (!std::all_of(nodes.begin(), nodes.end(), avoided)) std::erase_if(nodes, avoided);
  const auto broken = [&](const Node* node) { return !breakers_.admits(node->identity.node, now); };
  if (!std::all_of(nodes.begin(), nodes.end(), broken)) std::erase_if(nodes, broken);
  return nodes;
}

RequestView RouterState::view_of(const wire::PlaceRequest& request) {
  RequestView view;
  view.prompt_tokens = request.prompt_tokens;
  view.max_tokens = request.max_tokens;
  view.choices = std::max(1u, request.choices);
  view.ticket = ticket_++;
  view.priority = request.priority;
  if (request.deadline_ms != 0) view.deadline = std::chrono::milliseconds(request.deadline_ms);
  view.session = request.session;
  if (!request.blocks.empty()) {
    const std::size_t last = std::max<std::size_t>(1, kBeginningTokens / options_.block_tokens) - 1;
    const BlockKey& key = request.blocks[std::min(last, request.blocks.size() - 1)];
    view.prefix_hash = Hasher().id(key).finish<BlockKey>().low;
  }
  return view;
}

std::vector<Candidate> RouterState::candidates(const Nodes& nodes, const wire::PlaceRequest& request,
                                               const wire::ModelInfo& model, bool prefill, TimePoint now) {
  std::vector<NodeId> ids;
  for (const Node* node : nodes) ids.push_back(node->identity.node);
  const auto prefix = prefixes_.cached(model.id, ids, request.blocks);
  const std::uint64_t tenant = tenant_of(request);
  const double token_bytes = static_cast<double>(model.layers) * model.layer_page_bytes / kPageTokens;
  std::vector<Candidate> out;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = *nodes[i];
    Candidate c;
    c.node = ids[i];
    c.name = node.identity.name;
    c.cached_tokens = prefix[i].blocks * options_.block_tokens;
    c.on_disk_tokens = (prefix[i].blocks - prefix[i].in_memory) * options_.block_tokens;
    c.predicted = prefix[i].predicted;
    c.load = (prefill ? node.placed_prefills : node.placed) + node.foreign;
    c.costs = costs_.costs(c.node, model.id, prefill, now);
    c.drain_us = drain_.token_us(c.node);
    const double own = request.prompt_tokens - std::min(request.prompt_tokens, c.cached_tokens);
    c.queued_tokens = book_.queued(c.node, {request.priority, tenant, own}, c.costs.token, now);
    c.transfer_us = token_bytes / options_.transfer_bytes_per_second * 1e6;
    const auto waiting = static_cast<std::uint32_t>(book_.waiting(c.node));
    const std::uint32_t rows = node.placed - std::min(node.placed, waiting) + node.foreign;
    if (const wire::Load* load = node.load(model.id)) {
      c.capacity = load->capacity;
      c.pages_total = load->pages_total;
      const auto unseen = static_cast<std::uint32_t>(book_.unseen(c.node) / kPageTokens);
      c.pages_available = load->pages_free + load->pages_cached;
      c.pages_available -= std::min(c.pages_available, unseen);
      c.pages_free = load->pages_free - std::min(load->pages_free, unseen);
    }
    if (!prefill) c.decode_rows = rows;
    const double life = node.answer_us != 0 ? node.answer_us : answer_us_;
    if (life != 0) c.retry_ms = static_cast<std::uint64_t>(life / 1000 / std::max(1u, c.load)) + 1;
    out.push_back(c);
  }
  return out;
}

Expected<RouterState::Placed> RouterState::place(const wire::PlaceRequest& request, TimePoint now) {
  if (placements_.size() >= options_.max_placements) {
    const double between = answer_us_ / static_cast<double>(placements_.size());
    return refused_for(std::chrono::microseconds(static_cast<std::int64_t>(between)),
                       std::to_string(placements_.size()) + " requests are in flight, the limit");
  }
  const auto model = view_.model_named(request.model);
  if (!model) return fail(Errc::model_not_found, "no worker serves a model named \"" + request.model + "\"");
  const Nodes decoders = ready_for(request, wire::Role::decode, model->id, now);
  if (decoders.empty())
    return fail(Errc::no_ready_worker, "no decode worker for \"" + request.model + "\" is ready");
  const auto decode = candidates(decoders, request, *model, false, now);
  const auto prefill =
      candidates(ready_for(request, wire::Role::prefill, model->id, now), request, *model, true, now);
  const Offer offer{decode, prefill, options_.min_prompt_tokens};
  const auto decision = policy_->place(view_of(request), offer);
  explain(request, offer, decision);
  if (!decision) return tl::unexpected<Error>(decision.error());
  return settle(request, *model, offer, *decision, now);
}

RouterState::Placed RouterState::settle(const wire::PlaceRequest& request, const wire::ModelInfo& model,
                                        const Offer& offer, const Decision& decision, TimePoint now) {
  const Candidate& chosen = offer.decode[decision.index];
  Node& decode = *view_.find(chosen.node);
  Placed placed;
  placed.choices = std::max(1u, request.choices);
  placed.model = model.id;
  placed.prompt_tokens = request.prompt_tokens;
  placed.placed = now;
  wire::Placement& answer = placed.answer;
  answer.request = request.request;
  answer.epoch = request.epoch;
  answer.decode = chosen.node;
  answer.decode_address = decode.identity.control_address;
  answer.decode_data_address = decode.identity.data_address;
  answer.cached_tokens = std::min(chosen.cached_tokens, request.prompt_tokens);
  answer.reason = decision.reason;
  count(request, chosen, placed);
  decode.placed += placed.choices;
  prefixes_.placed(chosen.node, model.id, request.blocks, now);
  // What another worker sends needs no prefill worker.
  const auto prefill = add_fetch(answer, request, model.id) ? std::nullopt : decision.prefill;
  const Candidate& computes = prefill ? offer.prefill[*prefill] : chosen;
  const std::uint32_t had = std::max(computes.cached_tokens, answer.fetch_tokens);
  const double own = request.prompt_tokens - std::min(had, request.prompt_tokens);
  placed.what = {computes.queued_tokens, own, computes.decode_rows};
  if (prefill) {
    Node& helper = *view_.find(computes.node);
    ++helper.placed_prefills;
    ++counters_.placed_with_prefill;
    prefixes_.placed(computes.node, model.id, request.blocks, now);
    answer.prefill = computes.node;
    answer.prefill_address = helper.identity.control_address;
    answer.prefill_data_address = helper.identity.data_address;
    if (!decision.terms.empty()) placed.transfer_us = decision.terms[decision.index].transfer;
  }
  book_.placed(computes.node, {request.request, own, static_cast<double>(request.prompt_tokens),
                               request.priority, now, tenant_of(request)});
  return placed;
}

/// Names the worker whose memory holds most of the prompt, where that is enough more than the chosen one's,
/// and more than half of what that one lacks: else a prefill worker has the most to do anyway. false: there
/// is none.
bool RouterState::add_fetch(wire::Placement& placement, const wire::PlaceRequest& request,
                            const ModelId& model) {
  if (request.prompt_tokens < placement.cached_tokens + options_.min_fetch_tokens) return false;
  const std::uint32_t half = placement.cached_tokens + (request.prompt_tokens - placement.cached_tokens) / 2;
  std::uint32_t least = std::max(half, placement.cached_tokens + options_.min_fetch_tokens);
  auto nodes = view_.ready(wire::Role::decode, model);
  const auto prefillers = view_.ready(wire::Role::prefill, model);
  nodes.insert(nodes.end(), prefillers.begin(), prefillers.end());
  std::erase_if(nodes, [&](const Node* node) {
    const NodeId& id = node->identity.node;
    return id == placement.decode ||
           std::find(request.avoid.begin(), request.avoid.end(), id) != request.avoid.end();
  });
  std::vector<NodeId> ids;
  for (const Node* node : nodes) ids.push_back(node->identity.node);
  const auto held = prefixes_.cached(model, ids, request.blocks);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::uint32_t tokens = std::min(held[i].in_memory * kBlockTokens, request.prompt_tokens);
    if (held[i].predicted || tokens < least) continue;
    least = tokens + 1;
    placement.fetch_tokens = tokens;
    placement.fetch_address = nodes[i]->identity.control_address;
  }
  if (placement.fetch_tokens == 0) return false;
  ++counters_.placed_with_fetch;
  return true;
}

void RouterState::count(const wire::PlaceRequest& request, const Candidate& chosen, Placed& placed) {
  wire::Placement& answer = placed.answer;
  const bool by_prefix = answer.reason == "prefix";
  (by_prefix ? counters_.placed_by_prefix : counters_.placed_by_load) += 1;
  counters_.prompt_tokens += request.prompt_tokens;
  counters_.cached_tokens += answer.cached_tokens;
  if (!chosen.predicted) return;
  counters_.predicted_tokens += answer.cached_tokens;
  if (by_prefix) answer.reason = "predicted prefix";
}

void RouterState::explain(const wire::PlaceRequest& request, const Offer& offer,
                          const Expected<Decision>& decision) {
  if (options_.explained_placements == 0) return;
  Explanation e;
  e.request = request.request;
  e.epoch = request.epoch;
  e.model = request.model;
  e.policy = options_.policy;
  e.prompt_tokens = request.prompt_tokens;
  if (!decision) {
    e.refused = to_string(decision.error());
    e.retry_after_ms = retry_after_ms(decision.error());
  } else {
    e.reason = decision->reason;
    e.decode = offer.decode[decision->index].name;
    if (decision->prefill) e.prefill = offer.prefill[*decision->prefill].name;
  }
  e.decode_workers =
      workers_of(offer.decode, decision ? std::span<const Terms>(decision->terms) : std::span<const Terms>());
  e.prefill_workers = workers_of(offer.prefill, {});
  log_.add(std::move(e));
}

void RouterState::release(const RequestId& request, const Placed& placed, TimePoint now) {
  book_.done(placed.computes(), request, now);
  if (Node* decode = view_.find(placed.answer.decode))
    decode->placed -= std::min(decode->placed, placed.choices);
  if (!placed.answer.prefill) return;
  if (Node* prefill = view_.find(*placed.answer.prefill))
    prefill->placed_prefills -= std::min(prefill->placed_prefills, 1u);
}

void RouterState::on_started(const wire::RequestStarted& started, TimePoint now) {
  const auto found = placements_.find(started.request);
  if (found == placements_.end() || found->second.answer.epoch != started.epoch || found->second.started)
    return;
  Placed& placed = found->second;
  placed.started = true;
  book_.done(placed.computes(), started.request, now);
  const auto took = static_cast<double>(started.first_token_us);
  log_.started(started.request, started.epoch, took);
  // What the worker really had counts, not what the index believed. Of a prefill worker nobody tells.
  if (!placed.answer.prefill)
    placed.what.own_tokens = placed.prompt_tokens - std::min(placed.prompt_tokens, started.cached_tokens);
  if (view_.find(placed.computes()) == nullptr) return;
  costs_.learn(placed.computes(), placed.model, placed.answer.prefill.has_value(), placed.what,
               std::max(0.0, took - placed.transfer_us), now);
}

void RouterState::on_ended(const wire::RequestEnded& ended, TimePoint now) {
  const auto found = placements_.find(ended.request);
  if (found == placements_.end() || found->second.answer.epoch > ended.epoch) return;
  const NodeId& worker = found->second.answer.decode;
  if (ended.outcome == wire::Outcome::answered) breakers_.succeeded(worker);
  if (ended.outcome == wire::Outcome::failed && view_.find(worker) != nullptr) breakers_.failed(worker, now);
  const double life = microseconds(now - found->second.placed);
  add_to_mean(answer_us_, life);
  if (Node* decode = view_.find(found->second.answer.decode)) add_to_mean(decode->answer_us, life);
  release(ended.request, found->second, now);
  placements_.erase(found);
}

}  // namespace troupe::router
