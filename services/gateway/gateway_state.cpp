// Requests, membership and timers of the gateway; placing and answers have files of their own.
#include "services/gateway/gateway_state.hpp"

#include <algorithm>

#include "common/actors/delivery.hpp"
#include "common/base/log.hpp"

namespace troupe::gateway {
namespace {
constexpr std::chrono::milliseconds kBusyTick{25};
constexpr std::chrono::milliseconds kHeldPause{100};
}

GatewayState::GatewayState(GatewayOptions options, SendPrompt send_prompt,
                           std::function<void(const std::vector<ServedModel>&)> on_models)
    : options_(std::move(options)),
      send_prompt_(std::move(send_prompt)),
      on_models_(std::move(on_models)),
      routers_{options_.router_address} {
  routers_.insert(routers_.end(), options_.other_routers.begin(), options_.other_routers.end());
}

void GatewayState::start(GenerateJob job, std::shared_ptr<AnswerSink> sink, TimePoint now,
                         actors::Outbox& out) {
  ++counters_.started;
  const auto refuse = [&](Errc code, std::string detail) {
    ++counters_.failed;
    sink->on_error({code, std::move(detail)});
  };
  const auto model = models_.find(job.model);
  if (model == models_.end())
    return refuse(Errc::model_not_found, "no worker serves a model named \"" + job.model + "\"");
  if (job.prompt.empty() || job.choices == 0 || job.max_tokens == 0)
    return refuse(Errc::invalid_argument, "a request needs a prompt, a choice and a token to make");
  if (job.pooling != Pooling::none && job.choices != 1)
    return refuse(Errc::invalid_argument, "a prompt has one vector");
  if (requests_.contains(job.id))
    return refuse(Errc::invalid_argument, "this request id is already in flight");
  const RequestId id = job.id;
  Request request;
  request.model = model->second.model.id;
  request.choices.resize(job.choices);
  request.began = now;
  request.give_up_at = now + options_.place_patience;
  request.job = std::move(job);
  request.sink = std::move(sink);
  Request& placed = requests_.emplace(id, std::move(request)).first->second;
  traces_.begin(id, placed.job.trace);
  ask_placement(placed, now, out);
  wake_at_ = std::min(wake_at_, now + Duration(kBusyTick));
}

void GatewayState::cancel(const RequestId& id, TimePoint now, actors::Outbox& out) {
  const auto at = requests_.find(id);
  if (at == requests_.end()) return;
  ++counters_.cancelled;
  traces_.over(id, {}, now);
  end_move(at->second, out);
  end_placement(at->second, out);
  out.send(router(), wire::RequestEnded{id, at->second.asked, wire::Outcome::dropped}, at->second.asked);
  requests_.erase(at);
}

void GatewayState::fail_all(const Error& error, TimePoint now, actors::Outbox& out) {
  while (!requests_.empty()) fail_request(requests_.begin(), error, now, out);
}

GatewayCounters GatewayState::counters() const {
  GatewayCounters out = counters_;
  out.spans_received = traces_.counters().received;
  out.spans_dropped = traces_.counters().dropped;
  return out;
}

void GatewayState::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                           actors::Outbox& out) {
  actors::Delivery delivery("gateway", from, message, counters_.malformed);
  delivery.on<wire::Tokens>([&](const wire::Tokens& m) { on_tokens(from, m, now, out); });
  delivery.on<wire::EmbedReply>([&](wire::EmbedReply m) { on_vector(std::move(m), now, out); });
  delivery.on<wire::Spans>([&](const wire::Spans& m) { traces_.take(from, m, now); });
  delivery.on<wire::Placement>([&](const wire::Placement& m) { on_placement(m, now, out); });
  delivery.on<wire::PlaceRefused>([&](const wire::PlaceRefused& m) { on_refused(m, now, out); });
  delivery.on<wire::PlacementCheck>([&](const wire::PlacementCheck& m) {
    for (const auto& [id, epoch] : m.placements) {
      const auto known = requests_.find(id);
      if (known == requests_.end() || known->second.asked.value > epoch.value)
        out.send(from, wire::RequestEnded{id, epoch, wire::Outcome::dropped}, epoch);
    }
  });
  delivery.on<wire::Handover>([&](const wire::Handover& m) { on_handover(m, now, out); });
  delivery.on<wire::ModelTable>([&](const wire::ModelTable& m) {
    if (is_router(from)) on_models(m, now);
  });
  delivery.on<wire::WorkerTable>([&](const wire::WorkerTable& m) {
    if (is_router(from)) view_.take(m);
  });
  delivery.on<wire::WorkerGone>([&](const wire::WorkerGone& m) {
    if (is_router(from)) on_worker_gone(m, now, out);
  });
  delivery.on<wire::JoinReply>([&](const wire::JoinReply& m) { on_join_reply(from, m, now); });
  delivery.on<wire::ClusterReport>([&](const wire::ClusterReport& m) {
    if (is_router(from)) publish_picture(pictures_.take(m));
  });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, wire::Pong{m.number, options_.node}); });
  delivery.end();
}

void GatewayState::on_worker_gone(const wire::WorkerGone& gone, TimePoint now, actors::Outbox& out) {
  view_.gone(gone.node);
  for (auto at = requests_.begin(); at != requests_.end();) {
    const auto here = at++;
    if (gone.died && !outlives(here, gone.node, now, out)) continue;
    if (here->second.move && here->second.move->old.decode == gone.node) here->second.move.reset();
    if (here->second.phase == Phase::placing || here->second.placement.decode != gone.node) continue;
    if (!gone.died) ++here->second.lost;
    replay(here, {Errc::peer_lost, "the worker is gone: " + gone.reason}, now, out);
  }
}

bool GatewayState::outlives(Requests::iterator at, const NodeId& dead, TimePoint now, actors::Outbox& out) {
  Request& request = at->second;
  const auto among = [&](const std::vector<NodeId>& nodes) { return std::find(nodes.begin(), nodes.end(), dead) != nodes.end(); };
  const bool placed = request.phase != Phase::placing;
  const bool decoded = (placed && request.placement.decode == dead) || among(request.avoid);  // the loss was seen before
  const bool prefilled = placed && !request.started && request.placement.prefill == dead;
  if ((!decoded && !prefilled) || among(request.deaths)) return true;
  request.deaths.push_back(dead);
  if (request.deaths.size() < options_.max_deaths) return true;
  ++counters_.quarantined;
  log::error("request quarantined", {{"request", to_hex(request.job.id)}, {"deaths", request.deaths.size()}});
  fail_request(at, {Errc::request_quarantined, std::to_string(request.deaths.size()) + " workers died while they worked on it"}, now, out);
  return false;
}

void GatewayState::peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) {
  if (is_router(address)) return lose_router(now);
  view_.unreachable(address);
  for (auto at = requests_.begin(); at != requests_.end();) {
    const auto here = at++;
    Request& request = here->second;
    if (request.phase == Phase::placing || request.placement.decode_address != address) continue;
    ++request.lost;
    replay(here, {Errc::peer_lost, "the connection to the worker ended"}, now, out);
  }
}

void GatewayState::tick(TimePoint now, actors::Outbox& out) {
  if (now >= next_beat_) {
    beat(out);
    if (options_.on_tick) options_.on_tick(*this);
    next_beat_ = now + options_.heartbeat;
  }
  settle_router(now);
  for (auto at = requests_.begin(); at != requests_.end();) {
    const auto here = at++;
    (void)check_timers(here, now, out);
  }
  wake_at_ = requests_.empty() ? next_beat_ : std::min(next_beat_, now + Duration(kBusyTick));
}

/// false: the request is over.
bool GatewayState::check_timers(Requests::iterator at, TimePoint now, actors::Outbox& out) {
  Request& request = at->second;
  if (request.job.deadline && now >= *request.job.deadline) {
    fail_request(at, {Errc::deadline_exceeded, "the request's deadline passed"}, now, out);
    return false;
  }
  if (request.phase == Phase::placing) {
    if (now >= request.give_up_at) {
      fail_request(at, {Errc::no_ready_worker, "no router or worker took the request in time"}, now, out);
      return false;
    }
    if (now < request.ask_at) return true;
    if (request.needs_budget && !retries_.take(now)) {
      ++counters_.replays_held;
      request.ask_at = now + kHeldPause;
      return true;
    }
    request.needs_budget = false;
    if (joined_ && request.unanswered >= options_.unanswered_places) lose_router(now);
    ask_placement(request, now, out);
    return true;
  }
  if (!request.frames.empty() && now >= request.ask_at) {
    send_frames(request, now);
    if (!request.frames.empty() && now >= request.give_up_at)
      return replay(at, {Errc::transfer_failed, "the prompt could not be sent"}, now, out);
  }
  for (std::uint32_t i = 0; i < request.choices.size(); ++i) {
    Choice& choice = request.choices[i];
    if (choice.finished) continue;
    if (choice.gap_asked && now - *choice.gap_asked >= options_.resend_timeout)
      ask_again(request, i, now, out);
    if (choice.probed && now - *choice.probed >= options_.probe_timeout)
      return replay(at, {Errc::peer_lost, "the worker does not answer"}, now, out);
    if (!choice.probed && now - choice.heard >= options_.probe_after) {
      ++counters_.probes;
      choice.probed = now;
      out.send(
          request.placement.decode_address,
          wire::Resend{request.job.id, request.epoch, i, static_cast<std::uint32_t>(choice.emitted.size())},
          request.epoch);
    }
  }
  return true;
}

}  // namespace troupe::gateway
