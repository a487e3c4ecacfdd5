#include "services/router/event_intake.hpp"

#include "common/actors/address.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {

Expected<std::vector<EventSource>> parse_event_sources(const std::vector<std::string>& texts) {
  std::vector<EventSource> sources;
  for (const std::string& text : texts) {
    EventSource source;
    const auto slash = text.find('/');
    for (const auto& [part, to] : {std::pair{text.substr(0, slash), &source.endpoint},
                                   std::pair{slash == text.npos ? "" : text.substr(slash + 1), &source.replay_endpoint}}) {
      if (part.empty() && to == &source.replay_endpoint && slash == text.npos) continue;
      const auto place = actors::parse_host_port(part);
      if (!place) return fail(Errc::config_invalid, "router.kv_events: \"" + text + "\": " + place.error().detail);
      *to = std::string(actors::kTcp) + actors::format(*place);
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

Expected<void> EventIntake::start(const std::vector<EventSource>& sources, const actors::RoleHandle& router,
                                  std::shared_ptr<const security::ClusterKeys> keys) {
  const auto post = [router](std::function<void(RouterState&, TimePoint, actors::Outbox&)> work) {
    router.post([work = std::move(work)](actors::RoleState& state, TimePoint now, actors::Outbox& out) {
      work(dynamic_cast<RouterState&>(state), now, out);
    });
  };
  EventHandlers handlers;
  handlers.received = [post](std::size_t source, const std::string& topic, std::uint64_t number,
                             std::span<const std::uint8_t> payload) {
    post([source, topic, number, bytes = std::vector<std::uint8_t>(payload.begin(), payload.end())](
             RouterState& state, TimePoint now, actors::Outbox& out) {
      state.on_kv_events(source, topic, number, bytes, now, out);
    });
  };
  handlers.replay_ended = [post](std::size_t source) {
    post([source](RouterState& state, TimePoint now, actors::Outbox& out) {
      state.on_replay_ended(source, now, out);
    });
  };
  auto receiver = EventReceiver::create(sources, std::move(handlers), std::move(keys));
  if (!receiver) return tl::unexpected<Error>(receiver.error());
  const std::lock_guard lock(mutex_);
  receiver_ = std::move(*receiver);
  return {};
}

void EventIntake::stop() {
  std::unique_ptr<EventReceiver> receiver;
  {
    const std::lock_guard lock(mutex_);
    receiver = std::move(receiver_);
  }
}

void EventIntake::ask_replay(std::size_t source, std::uint64_t from) {
  const std::lock_guard lock(mutex_);
  if (receiver_) receiver_->ask_replay(source, from);
}

}  // namespace troupe::router
