#include "services/router/event_feeds.hpp"

#include "common/kv_events/vllm_codec.hpp"

namespace troupe::router {

using kv_events::Ask;
using kv_events::EventTracker;

std::optional<std::pair<NodeId, std::string>> parse_topic(const std::string& topic) {
  constexpr std::size_t kModelAt = 3 + 32 + 1;
  if (topic.size() <= kModelAt || !topic.starts_with("kv@") || topic[kModelAt - 1] != '@') return std::nullopt;
  const auto node = id_from_hex<NodeId>(std::string_view(topic).substr(3, 32));
  if (!node) return std::nullopt;
  return std::pair{*node, topic.substr(kModelAt)};
}

FeedActions EventFeeds::take(std::size_t source, const std::string& topic, std::uint64_t number,
                             std::span<const std::uint8_t> payload, TimePoint now) {
  FeedActions actions;
  Feed& feed = feeds_[source];
  if (!topic.empty() && topic != feed.topic) end(feed);  // another incarnation, or another program
  if (!feed.tracker) {
    auto publisher = topic.empty() ? std::nullopt : lookup_(topic);
    if (!publisher) return actions;
    feed.topic = topic;
    feed.publisher = publisher;
    kv_events::TrackerOptions options;
    options.snapshots = publisher->member;
    feed.tracker.emplace(options);
  }
  auto batch = kv_events::decode(payload);
  if (!batch) {
    ++malformed_;
    return actions;
  }
  feed.tracker->take(number, std::move(*batch), now, actions.apply);
  ask(feed, now, actions);
  return actions;
}

FeedActions EventFeeds::replay_ended(std::size_t source, TimePoint now) {
  FeedActions actions;
  Feed& feed = feeds_[source];
  if (!feed.tracker) return actions;
  feed.tracker->replay_ended(now, actions.apply);
  ask(feed, now, actions);
  return actions;
}

FeedActions EventFeeds::tick(std::size_t source, TimePoint now) {
  FeedActions actions;
  if (feeds_[source].tracker) ask(feeds_[source], now, actions);
  return actions;
}

void EventFeeds::ask(Feed& feed, TimePoint now, FeedActions& actions) {
  const Ask what = feed.tracker->due(now, actions.apply);
  if (what == Ask::replay) actions.replay_from = feed.tracker->replay_from();
  if (what == Ask::snapshot) actions.snapshot = true;
}

void EventFeeds::forget(const NodeId& node) {
  for (Feed& feed : feeds_)
    if (feed.publisher && feed.publisher->node == node) end(feed);
}

void EventFeeds::end(Feed& feed) {
  if (feed.tracker) past_ += feed.tracker->counters();
  feed = {};
}

kv_events::TrackerCounters EventFeeds::counters() const {
  kv_events::TrackerCounters sum = past_;
  for (const Feed& feed : feeds_)
    if (feed.tracker) sum += feed.tracker->counters();
  return sum;
}

}  // namespace troupe::router
