// A stream leaves a draining worker for another without a break: it is placed anew while it goes on, the new
// worker fetches its pages from the old one, and both make the same tokens until the new one has spoken.
// Whatever fails on the way, the stream is where a worker's death would leave it: it is replayed.
#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {

void GatewayState::on_handover(const wire::Handover& offer, TimePoint now, actors::Outbox& out) {
  for (const auto& [id, epoch] : offer.streams) {
    const auto at = requests_.find(id);
    if (at == requests_.end()) continue;
    Request& request = at->second;
    if (request.phase != Phase::running || request.epoch != epoch || request.placement.decode != offer.node)
      continue;
    if (request.move && (request.move->placed || now < request.move->ask_at)) continue;
    Move move;
    move.asked = Epoch{++request.asked.value};
    move.ask_at = now + options_.place_retry;
    request.move = std::move(move);
    std::vector<NodeId> avoid = request.avoid;
    avoid.push_back(offer.node);
    ask_router(request, request.move->asked, std::move(avoid), now, out);
  }
}

void GatewayState::move_to(Request& request, const wire::Placement& placement, TimePoint now,
                           actors::Outbox& out) {
  Move& move = *request.move;
  if (placement.decode == request.placement.decode) {  // the router has not heard yet that it drains
    request.move.reset();
    return;
  }
  move.placed = true;
  move.old = std::move(request.placement);
  move.old_epoch = request.epoch;
  for (std::uint32_t i = 0; i < request.choices.size(); ++i)
    if (!request.choices[i].finished) move.silent.insert(i);
  request.epoch = placement.epoch;
  request.placement = placement;
  request.placement.prefill.reset();  // the old worker has it all
  request.placement.fetch_address = move.old.decode_address;
  request.placement.fetch_tokens = wire::kMaxPromptTokens.max;
  send_generates(request, now, out);
}

void GatewayState::moved(Request& request, std::uint32_t choice, TimePoint now, actors::Outbox& out) {
  if (!request.move->placed) return;
  request.move->silent.erase(choice);
  if (!request.move->silent.empty()) return;
  ++counters_.handovers;
  traces_.left(request.job.id, request.move->old_epoch, {}, now);
  end_move(request, out);
}

void GatewayState::end_move(Request& request, actors::Outbox& out) {
  if (request.move && request.move->placed)
    out.send(request.move->old.decode_address, wire::Cancel{request.job.id, request.move->old_epoch},
             request.move->old_epoch);
  request.move.reset();
}

}  // namespace troupe::gateway
