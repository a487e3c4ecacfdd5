#include "common/kv_events/event_tracker.hpp"

#include <algorithm>

namespace troupe::kv_events {
namespace {

EventBatch cleared() {
  EventBatch batch;
  batch.events.emplace_back(AllCleared{});
  return batch;
}

}  // namespace

TrackerCounters& TrackerCounters::operator+=(const TrackerCounters& other) {
  for (auto field : {&TrackerCounters::batches, &TrackerCounters::duplicates, &TrackerCounters::held,
                     &TrackerCounters::overrun, &TrackerCounters::gaps, &TrackerCounters::replays,
                     &TrackerCounters::snapshots, &TrackerCounters::given_up, &TrackerCounters::restarts})
    this->*field += other.*field;
  return *this;
}

void EventTracker::take(std::uint64_t sequence, EventBatch batch, TimePoint now, std::vector<EventBatch>& ready) {
  ++counters_.batches;
  if (sequence < next_) {
    if (batch.timestamp <= newest_) {
      ++counters_.duplicates;
      return;
    }
    ++counters_.restarts;
    ready.push_back(cleared());
    held_.clear();
    next_ = 0;
    newest_ = -1;
    gap_since_.reset();
    asked_.reset();
    wants_snapshot_ = false;
  }
  if (sequence != next_ && batch.starts_over()) {  // what is missing before it no longer matters
    held_.erase(held_.begin(), held_.lower_bound(sequence));
    next_ = sequence;
  }
  if (sequence == next_) {
    apply(std::move(batch), ready);
    return drain(now, ready);
  }
  if (!gap_since_) {
    ++counters_.gaps;
    gap_since_ = now;
    replays_ = 0;
  }
  if (held_.size() >= options_.window && !held_.contains(sequence)) {
    ++counters_.overrun;  // a replay or a snapshot brings it again
    const auto last = std::prev(held_.end());
    if (last->first < sequence) return;
    held_.erase(last);
  }
  const auto [at, fresh] = held_.try_emplace(sequence, std::move(batch));
  ++(fresh ? counters_.held : counters_.duplicates);
}

void EventTracker::apply(EventBatch batch, std::vector<EventBatch>& ready) {
  started_ = true;  // from the first on, or from a snapshot
  newest_ = std::max(newest_, batch.timestamp);
  ++next_;
  ready.push_back(std::move(batch));
}

/// Applies what is held as far as it goes on; a gap behind it is a new one.
void EventTracker::drain(TimePoint now, std::vector<EventBatch>& ready) {
  held_.erase(held_.begin(), held_.lower_bound(next_));
  while (!held_.empty() && held_.begin()->first == next_) {
    apply(std::move(held_.begin()->second), ready);
    held_.erase(held_.begin());
  }
  wants_snapshot_ = false;
  asked_.reset();
  replays_ = 0;
  if (held_.empty()) {
    gap_since_.reset();
    return;
  }
  if (gap_since_) ++counters_.gaps;
  gap_since_ = now;
}

void EventTracker::replay_ended(TimePoint now, std::vector<EventBatch>& ready) {
  started_ = true;
  const bool was_for_this_gap = asked_.has_value();  // progress since then ends the question
  asked_.reset();
  if (!was_for_this_gap || !gap_since_ || held_.empty()) return;
  // All that is kept has come, and the gap is still there.
  if (options_.snapshots) wants_snapshot_ = true;
  else give_up(now, ready);
}

void EventTracker::give_up(TimePoint now, std::vector<EventBatch>& ready) {
  ++counters_.given_up;
  ready.push_back(cleared());
  next_ = held_.begin()->first;
  drain(now, ready);
}

std::optional<TimePoint> EventTracker::wake_at() const {
  if (!started_ && !asked_) return TimePoint{};
  if (asked_) return *asked_ + options_.answer_time;
  if (!gap_since_) return std::nullopt;
  return wants_snapshot_ ? TimePoint{} : *gap_since_ + options_.patience;
}

Ask EventTracker::due(TimePoint now, std::vector<EventBatch>& ready) {
  const auto wake = wake_at();
  if (!wake || now < *wake) return Ask::nothing;
  if (!wants_snapshot_ && replays_ >= options_.replays) {  // nobody answers replays
    started_ = true;
    asked_.reset();
    if (!gap_since_ || held_.empty()) return Ask::nothing;
    if (!options_.snapshots) {
      give_up(now, ready);
      return Ask::nothing;
    }
    wants_snapshot_ = true;
  }
  asked_ = now;
  if (wants_snapshot_) {
    ++counters_.snapshots;
    return Ask::snapshot;
  }
  ++replays_;
  ++counters_.replays;
  return Ask::replay;
}

}  // namespace troupe::kv_events
