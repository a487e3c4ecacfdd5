// From a request to a worker that has it, and to another one when that is lost.
#include <algorithm>
#include <cstring>

#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"
#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {
namespace {

constexpr std::size_t kBlocksPerPlace = 2500;  // 16 bytes each: below the control plane's size
constexpr std::size_t kAvoided = 16;
constexpr std::chrono::milliseconds kFramePause{20};

std::uint32_t left_ms(const std::optional<TimePoint>& deadline, TimePoint now) {
  if (!deadline) return 0;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - now).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0xFFFFFFFF));
}

}  // namespace

std::vector<TokenId> GatewayState::prompt_of(const Request& request, std::uint32_t choice) const {
  std::vector<TokenId> tokens = request.job.prompt;
  if (request.job.searches()) return tokens;  // a search goes on from nowhere else
  const auto& emitted = request.choices[choice].emitted;
  tokens.insert(tokens.end(), emitted.begin(), emitted.end());
  return tokens;
}

void GatewayState::ask_placement(Request& request, TimePoint now, actors::Outbox& out) {
  request.phase = Phase::placing;
  request.ask_at = now + options_.place_retry;
  if (!joined_ && place_by_view(request, now, out)) return;
  ++request.unanswered;
  ask_router(request, request.epoch, request.avoid, now, out);
}

void GatewayState::ask_router(const Request& request, Epoch epoch, std::vector<NodeId> avoid, TimePoint now,
                              actors::Outbox& out) {
  std::uint32_t first = 0, open = 0;
  for (std::uint32_t i = 0; i < request.choices.size(); ++i) {
    if (request.choices[i].finished) continue;
    if (open++ == 0) first = i;
  }
  const std::vector<TokenId> prompt = prompt_of(request, first);
  wire::PlaceRequest ask;
  ask.request = request.job.id;
  ask.epoch = epoch;
  ask.model = request.job.model;
  ask.tenant = request.job.tenant;
  ask.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  const bool pools = request.job.pooling != Pooling::none;
  ask.max_tokens = pools ? 0 : request.job.max_tokens;
  // Superposed drafts are one sequence.
  ask.choices = request.job.superposed.drafts > 0 ? 1 : std::max(open, request.job.beam.width);
  const std::size_t keyed = std::min(prompt.size(), kBlocksPerPlace * kBlockTokens);
  if (!pools)  // a vector needs what pages do not hold
    ask.blocks = block_keys(request.model, request.job.tenant, std::span(prompt).first(keyed));
  ask.avoid = std::move(avoid);
  ask.deadline_ms = left_ms(request.job.deadline, now);
  ask.priority = request.job.priority;
  ask.session = request.job.session;
  ask.trace = traces_.asked(request.job.id, epoch, now);
  out.send(router(), ask, epoch);
}

bool GatewayState::place_by_view(Request& request, TimePoint now, actors::Outbox& out) {
  const auto load = [&](const NodeId& node) {
    std::size_t choices = 0;
    for (const auto& [id, other] : requests_)
      if (other.phase != Phase::placing && other.placement.decode == node) choices += other.choices.size();
    return static_cast<std::uint32_t>(choices);
  };
  auto placement = view_.place({request.job.id, request.epoch, request.job.model, request.avoid, load});
  if (!placement) return false;
  ++counters_.placed_by_view;
  request.unanswered = 0;
  request.placement = std::move(*placement);
  send_generates(request, now, out);
  return true;
}

void GatewayState::on_placement(const wire::Placement& placement, TimePoint now, actors::Outbox& out) {
  const auto at = requests_.find(placement.request);
  if (at == requests_.end()) {  // cancelled meanwhile: the router must not count it
    out.send(router(), wire::RequestEnded{placement.request, placement.epoch, wire::Outcome::dropped},
             placement.epoch);
    return;
  }
  Request& request = at->second;
  if (request.move && !request.move->placed && placement.epoch == request.move->asked)
    return move_to(request, placement, now, out);
  if (placement.epoch != request.epoch || request.phase != Phase::placing) {
    if (placement.epoch != request.epoch) ++counters_.stale_epochs;
    return;
  }
  request.placement = placement;
  request.unanswered = 0;
  send_generates(request, now, out);
}

void GatewayState::on_refused(const wire::PlaceRefused& refused, TimePoint now, actors::Outbox& out) {
  const auto at = requests_.find(refused.request);
  if (at == requests_.end()) return;
  Request& request = at->second;
  if (request.move && !request.move->placed && refused.epoch == request.move->asked) {
    traces_.refused(refused.request, refused.epoch, {refused.error.code, {}}, now);
    request.move.reset();  // nobody takes it: it stays, and its worker offers it again
    return;
  }
  if (request.phase != Phase::placing) return;
  if (refused.epoch != request.epoch) {
    ++counters_.stale_epochs;
    return;
  }
  request.unanswered = 0;
  traces_.refused(refused.request, refused.epoch, {refused.error.code, {}}, now);
  // The name was served before, or the request would not be here: its workers are away.
  const bool away = refused.error.code == Errc::model_not_found;
  const Errc code = away ? Errc::no_ready_worker : refused.error.code;
  const Error error{code, refused.error.detail, refused.retry_after_ms};
  if ((away || code == Errc::no_ready_worker) && settled_at_ && now < *settled_at_ &&
      place_by_view(request, now, out))
    return;  // the router is new and the workers are not
  // A new request learns at once that there is no room. A stream that is under way waits for a worker.
  if (away && now - request.began < options_.rejoin_patience) {
    request.ask_at = now + std::chrono::milliseconds(100);
    return;
  }
  if (!request.replayed || retry_class(error.code) == Retry::never) return fail_request(at, error, now, out);
  request.ask_at =
      now + std::chrono::milliseconds(std::clamp<std::uint32_t>(refused.retry_after_ms, 50, 500));
}

void GatewayState::tell_placed(const Request& request, TimePoint now) {
  if (!options_.on_placed && !request.job.trace) return;
  const wire::Placement& placement = request.placement;
  const std::string decode = view_.name(placement.decode);
  const std::string prefill = placement.prefill ? view_.name(*placement.prefill) : std::string();
  traces_.placed(placement, decode, prefill, now);
  if (options_.on_placed) options_.on_placed(request.job.id, decode, prefill);
}

void GatewayState::send_generates(Request& request, TimePoint now, actors::Outbox& out) {
  request.phase = Phase::running;
  tell_placed(request, now);
  request.sent = now;
  request.start_told = false;
  request.give_up_at = now + options_.place_patience;
  for (Choice& choice : request.choices) {
    choice.heard = now;
    choice.probed.reset();
    choice.gap_asked.reset();
  }
  const bool fresh = std::all_of(request.choices.begin(), request.choices.end(),
                                 [](const Choice& c) { return c.emitted.empty() && !c.finished; });
  if (fresh) return send_generate(request, 0, request.job.choices, now, out);
  for (std::uint32_t i = 0; i < request.choices.size(); ++i)
    if (!request.choices[i].finished) send_generate(request, i, 1, now, out);
}

void GatewayState::send_generate(Request& request, std::uint32_t first_choice, std::uint32_t choices,
                                 TimePoint now, actors::Outbox& out) {
  const GenerateJob& job = request.job;
  if (job.pooling != Pooling::none) return send_embed(request, now, out);
  wire::Generate order;
  order.request = job.id;
  order.epoch = request.epoch;
  order.model = request.model;
  order.tenant = job.tenant;
  order.prompt = prompt_of(request, first_choice);
  order.prompt_tokens = static_cast<std::uint32_t>(order.prompt.size());
  order.resumed_tokens = order.prompt_tokens - static_cast<std::uint32_t>(job.prompt.size());
  order.first_choice = first_choice;
  order.choices = choices;
  order.max_tokens = job.max_tokens;
  order.stop_tokens = job.stop_tokens;
  order.sampling.p = job.sampling;
  order.prompt_logprobs = job.prompt_logprobs && !request.started;
  order.deadline_ms = left_ms(job.deadline, now);
  order.priority = job.priority;
  order.drafter = job.drafter;
  order.grammar = job.grammar;
  order.beam = job.beam;
  order.superposed = job.superposed;
  order.rules = job.rules;
  order.reference = job.reference;
  order.trace = traces_.order(job.id, request.epoch);
  order.fetch_address = request.placement.fetch_address;
  order.fetch_tokens = request.placement.fetch_tokens;
  // One import per request and epoch: of several resumed choices only a single one may use the prefill
  // worker.
  const bool alone =
      choices == request.choices.size() || std::count_if(request.choices.begin(), request.choices.end(),
                                                         [](const Choice& c) { return !c.finished; }) == 1;
  // A stream that has begun with exact pages, or has said nothing of converted ones, goes on with exact ones.
  const bool lossy = !request.placement.prefill_model.is_zero();
  if (request.placement.prefill && alone && !(lossy && request.started)) {
    order.prefill_model = request.placement.prefill_model;
    order.prefill_address = request.placement.prefill_address;
    order.prefill_data_address = request.placement.prefill_data_address;
  }
  send_order(request, std::move(order), first_choice, now, out);
}

void GatewayState::send_embed(Request& request, TimePoint now, actors::Outbox& out) {
  const GenerateJob& job = request.job;
  wire::Embed order;
  order.request = job.id;
  order.epoch = request.epoch;
  order.model = request.model;
  order.tenant = job.tenant;
  order.prompt = job.prompt;
  order.prompt_tokens = static_cast<std::uint32_t>(order.prompt.size());
  order.pooling = job.pooling;
  order.deadline_ms = left_ms(job.deadline, now);
  order.priority = job.priority;
  order.trace = traces_.order(job.id, request.epoch);
  send_order(request, std::move(order), 0, now, out);
}

template <class Order>
void GatewayState::send_order(Request& request, Order order, std::uint32_t first_choice, TimePoint now,
                              actors::Outbox& out) {
  const wire::Envelope packed = wire::pack(order, request.epoch);
  if (packed.payload.size() > wire::kMaxControlBytes) {
    ++counters_.prompts_by_data;
    std::vector<std::uint8_t> bytes(order.prompt.size() * sizeof(TokenId));
    std::memcpy(bytes.data(), order.prompt.data(), bytes.size());
    // Frames are told apart by their number: resumed choices have different prompts.
    const wire::PromptFrame frame{request.job.id, request.epoch, first_choice, order.prompt_tokens,
                                  frame_checksum(bytes)};
    request.frames.push_back({wire::pack(frame, request.epoch), make_payload(std::move(bytes))});
    order.prompt.clear();
    order.prompt_by_data = true;
    send_frames(request, now);
  }
  out.send(request.placement.decode_address, order, request.epoch);
}

void GatewayState::send_frames(Request& request, TimePoint now) {
  while (!request.frames.empty()) {
    const auto& frame = request.frames.front();
    const SendResult sent =
        send_prompt_(request.placement.decode_data_address, frame.header, request.job.id, frame.payload);
    if (sent != SendResult::sent) break;
    request.frames.erase(request.frames.begin());
  }
  request.ask_at = now + Duration(kFramePause);
}

void GatewayState::end_placement(const Request& request, actors::Outbox& out) {
  if (request.phase != Phase::placing)
    out.send(request.placement.decode_address, wire::Cancel{request.job.id, request.epoch}, request.epoch);
}

bool GatewayState::replay(Requests::iterator at, const Error& why, TimePoint now, actors::Outbox& out) {
  Request& request = at->second;
  if (request.replays >= options_.max_replays) {
    fail_request(at, why, now, out);
    return false;
  }
  end_move(request, out);
  log::warn("replaying a request",
            {{"request", to_hex(request.job.id)}, {"epoch", request.epoch.value}, {"why", to_string(why)}});
  ++counters_.replays;
  traces_.left(request.job.id, request.epoch, name(why.code), now);
  ++request.replays;
  request.replayed = true;
  end_placement(request, out);
  if (std::find(request.avoid.begin(), request.avoid.end(), request.placement.decode) == request.avoid.end())
    request.avoid.push_back(request.placement.decode);
  if (request.avoid.size() > kAvoided) request.avoid.erase(request.avoid.begin());
  request.epoch = Epoch{++request.asked.value};
  request.frames.clear();
  if (!request.started) request.prompt_logprobs.clear();
  request.give_up_at = now + options_.replay_patience;
  if (settle_choices(at, now, out)) return false;
  if (request.lost >= options_.max_deaths &&
      request.deaths.size() < request.lost) {  // no third worker before the router spoke
    request.phase = Phase::placing;
    request.ask_at = now + options_.death_patience;
  } else if (request.replays <= 1) {
    ask_placement(request, now, out);
  } else {  // the next worker failed at once too: give the cluster time
    request.phase = Phase::placing;
    request.needs_budget = true;
    request.ask_at = now + std::chrono::milliseconds(50 << std::min(request.replays, 5u));
  }
  return true;
}

bool GatewayState::settle_choices(Requests::iterator at, TimePoint now, actors::Outbox& out) {
  Request& request = at->second;
  for (std::uint32_t i = 0; i < request.choices.size(); ++i) {
    Choice& choice = request.choices[i];
    if (choice.finished || choice.emitted.empty()) continue;
    const auto& stops = request.job.stop_tokens;
    const bool stopped = std::find(stops.begin(), stops.end(), choice.emitted.back()) != stops.end();
    if (!stopped && choice.emitted.size() < request.job.max_tokens) continue;
    choice.finished = true;
    request.sink->on_tokens(i, {}, stopped ? FinishReason::stop : FinishReason::length);
  }
  if (!std::all_of(request.choices.begin(), request.choices.end(),
                   [](const Choice& c) { return c.finished; }))
    return false;
  finish(at, now, out);
  return true;
}

}  // namespace troupe::gateway
