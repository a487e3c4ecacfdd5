// What is told of a recorded request's placing, before its answer.
#include "common/actors/span_log.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {

void RouterState::tell_placing(const std::string& from, const wire::PlaceRequest& request,
                               const Expected<Placed>& placed, TimePoint now, actors::Outbox& out) const {
  if (!request.trace.recorded()) return;
  const TimePoint done = options_.clock == nullptr ? now : options_.clock->now();
  actors::SpanDetails details;
  details.failed = !placed;
  details.numbers = {{"troupe.prompt_tokens", request.prompt_tokens}};
  details.texts = {{"troupe.policy", options_.policy}};
  const auto name_node = [&](const char* key, const NodeId& id) {
    if (const Node* node = view_.find(id)) details.texts.emplace_back(key, node->identity.name);
  };
  if (placed) {
    const wire::Placement& answer = placed->answer;
    details.numbers.emplace_back("troupe.cached_tokens", answer.cached_tokens);
    name_node("troupe.decode", answer.decode);
    if (answer.prefill) name_node("troupe.prefill", *answer.prefill);
    if (placed->fetch) name_node("troupe.fetch", placed->fetch->source);
    details.texts.emplace_back("troupe.reason", answer.reason);
  } else {
    details.texts.emplace_back("error.type", name(placed.error().code));
  }
  actors::SpanLog log(request.trace, {request.request, request.epoch, 0, wire::Role::router, {}}, now);
  log.add("placing", now, done, std::move(details));
  if (const auto told = log.take(done)) out.send(from, *told, request.epoch);
}

}  // namespace troupe::router
