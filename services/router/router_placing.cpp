// From a request to a placement: what the router knows of every worker goes to the policy, what it decides
// into the books.
#include <algorithm>
#include <iterator>

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
  tell_placing(from, request, placed, now, out);
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
    c.model = model.id;
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
  // Pages serve the tokens that follow them: where none do, whoever answers computes.
  const bool helped = request.max_tokens != 0;
  auto prefill = candidates(helped ? ready_for(request, wire::Role::prefill, model->id, now) : Nodes(), request,
                            *model, true, now);
  if (helped && options_.convert_lossy) add_relatives(request, *model, prefill, now);
  const auto holders = sources(request, *model, decode, prefill, now);
  const Offer offer{decode, prefill, options_.min_prompt_tokens, holders, options_.min_fetch_tokens};
  const auto decision = policy_->place(view_of(request), offer);
  explain(request, offer, decision);
  if (!decision) return tl::unexpected<Error>(decision.error());
  return settle(request, *model, offer, *decision, now);
}

/// Prefill workers of the same weights and other numbers: their pages are converted. What they have cached goes by keys that
/// nobody here knows.
void RouterState::add_relatives(const wire::PlaceRequest& request, const wire::ModelInfo& model,
                                std::vector<Candidate>& prefill, TimePoint now) {
  wire::PlaceRequest unknown = request;
  unknown.blocks.clear();
  for (const wire::ModelInfo& other : view_.relatives(wire::Role::prefill, model.id)) {
    auto more = candidates(ready_for(unknown, wire::Role::prefill, other.id, now), unknown, other, true, now);
    std::ranges::move(more, std::back_inserter(prefill));
  }
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
  const auto prefill = decision.source ? std::nullopt : decision.prefill;
  if (decision.source) add_fetch(placed, offer.sources[*decision.source], chosen);
  const Candidate& computes = prefill ? offer.prefill[*prefill] : chosen;
  const std::uint32_t had = std::max(computes.cached_tokens, answer.fetch_tokens);
  const double own = request.prompt_tokens - std::min(had, request.prompt_tokens);
  placed.what = {computes.queued_tokens, own, computes.decode_rows};
  if (prefill) {
    Node& helper = *view_.find(computes.node);
    ++helper.placed_prefills;
    ++counters_.placed_with_prefill;
    if (computes.model == model.id) prefixes_.placed(computes.node, model.id, request.blocks, now);
    answer.prefill = computes.node;
    if (computes.model != model.id) answer.prefill_model = computes.model;
    answer.prefill_address = helper.identity.control_address;
    answer.prefill_data_address = helper.identity.data_address;
  }
  if (!decision.terms.empty()) {
    const Terms& terms = decision.terms[decision.index];
    placed.transfer_us = terms.transfer;
    placed.predicted_us = terms.first_token();
    if (placed.fetch) placed.fetch->hidden_us = terms.fetch - terms.transfer;
  }
  planner_.placed(own, own >= options_.min_prompt_tokens, now);
  book_.placed(computes.node, {request.request, own, static_cast<double>(request.prompt_tokens),
                               request.priority, now, tenant_of(request)});
  return placed;
}

/// Workers whose memory holds enough of the prompt for others to fetch it, the fullest first. A guess is no source, and
/// whoever failed this request is asked for nothing.
std::vector<Source> RouterState::sources(const wire::PlaceRequest& request, const wire::ModelInfo& model,
                                         std::span<const Candidate> decode, std::span<const Candidate> prefill,
                                         TimePoint now) const {
  constexpr std::size_t kMostSources = 4;
  constexpr double kStepTokens = 512;
  std::vector<const Candidate*> holders;
  for (const auto list : {decode, prefill})
    for (const Candidate& c : list) {
      const bool avoided = std::ranges::find(request.avoid, c.node) != request.avoid.end();
      if (!c.predicted && !avoided && c.cached_tokens - c.on_disk_tokens >= options_.min_fetch_tokens)
        holders.push_back(&c);
    }
  std::ranges::stable_sort(holders, [](const Candidate* a, const Candidate* b) {
    return std::pair(a->cached_tokens - a->on_disk_tokens, b->load) > std::pair(b->cached_tokens - b->on_disk_tokens, a->load);
  });
  if (holders.size() > kMostSources) holders.resize(kMostSources);
  std::vector<Source> out;
  for (const Candidate* c : holders) {
    Source source{c->node, c->name, std::min(c->cached_tokens - c->on_disk_tokens, request.prompt_tokens)};
    source.costs = transfers_.costs(c->node, now);
    source.token_bytes = static_cast<double>(model.layers) * model.layer_page_bytes / kPageTokens;
    source.sending = view_.find(c->node)->sending;
    source.step_us = c->costs.token * std::min(c->queued_tokens, kStepTokens) + c->costs.row * c->decode_rows;
    out.push_back(std::move(source));
  }
  return out;
}

void RouterState::add_fetch(Placed& placed, const Source& source, const Candidate& chosen) {
  Node& holder = *view_.find(source.node);
  placed.answer.fetch_tokens = source.held_tokens;
  placed.answer.fetch_address = holder.identity.control_address;
  const std::uint32_t tokens = source.held_tokens - std::min(source.held_tokens, chosen.cached_tokens);
  placed.fetch = {source.node, source.bytes(1), source.waits_us(tokens), source.fetch_us(chosen.node, tokens), 0, tokens};
  ++holder.sending;
  ++counters_.placed_with_fetch;
}

void RouterState::end_fetch(Placed& placed) {
  if (!placed.fetch) return;
  if (Node* source = view_.find(placed.fetch->source)) source->sending -= std::min(source->sending, 1u);
  placed.fetch.reset();
}

/// Whoever placed it: other routers' fetches, and those of moved streams, teach as well.
void RouterState::on_moved(const wire::PagesMoved& moved, TimePoint now) {
  counters_.fetched_tokens += moved.tokens;
  counters_.fetched_us += moved.took_us;
  const Node* target = view_.find(moved.node);
  const wire::ModelInfo* model = target == nullptr ? nullptr : target->serves_as(moved.model);
  if (model == nullptr || moved.tokens == 0) return;
  const auto took = static_cast<double>(moved.took_us);
  double token_bytes = static_cast<double>(model->layers) * model->layer_page_bytes / kPageTokens, waits_us = 0;
  std::optional<NodeId> source;
  const auto placed = placements_.find(moved.request);
  if (placed != placements_.end() && placed->second.answer.epoch == moved.epoch && placed->second.fetch) {
    const Placed::Fetch& fetch = *placed->second.fetch;
    source = fetch.source;
    token_bytes = fetch.bytes;
    waits_us = fetch.waits_us;
    placed->second.transfer_us = std::max(0.0, took - fetch.hidden_us);  // what the first token waited for, not what was thought
    end_fetch(placed->second);
  } else {
    for (const auto& [id, node] : view_.nodes())
      if (node.identity.control_address == moved.source) source = id;
  }
  if (!source || view_.find(*source) == nullptr) return;
  transfers_.learn(*source, moved.node, token_bytes * moved.tokens, std::max(took / 2, took - waits_us), now);
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
    if (decision->source)
      e.fetch = offer.sources[*decision->source].name;
    else if (decision->prefill)
      e.prefill = offer.prefill[*decision->prefill].name;
  }
  e.decode_workers =
      workers_of(offer.decode, decision ? std::span<const Terms>(decision->terms) : std::span<const Terms>());
  e.prefill_workers = workers_of(offer.prefill, {});
  for (const Source& source : offer.sources) {
    e.sources.push_back({std::string(source.name), source});
    e.sources.back().seen.name = {};
  }
  log_.add(std::move(e));
}

void RouterState::release(const RequestId& request, Placed& placed, TimePoint now) {
  end_fetch(placed);
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
  if (placed.predicted_us > 0) counters_.first_tokens[started.epoch.value > 1 ? 1 : 0].add(took / placed.predicted_us);
  if (placed.fetch) {  // no word of its pages came
    const Placed::Fetch fetch = *placed.fetch;
    end_fetch(placed);
    // It was asked, waited for and given up: as slow as all that, at least. Of computing it says nothing.
    if (started.cached_tokens < placed.answer.fetch_tokens / 2 && took > 2 * fetch.predicted_us) {
      if (view_.find(fetch.source) != nullptr)
        transfers_.learn(fetch.source, placed.answer.decode, fetch.bytes * fetch.tokens, took, now);
      return;
    }
  }
  // What the worker really had counts, not what the index believed. Of a prefill worker nobody tells.
  if (!placed.answer.prefill)
    placed.what.own_tokens = placed.prompt_tokens - std::min(placed.prompt_tokens, started.cached_tokens);
  if (view_.find(placed.computes()) == nullptr) return;
  costs_.learn(placed.computes(), placed.computing_model(), placed.answer.prefill.has_value(), placed.what,
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
