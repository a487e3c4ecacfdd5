#include "common/transport/peer_window.hpp"

#include <algorithm>

namespace troupe {

bool PeerWindow::offer(OutgoingFrame frame, TimePoint now) {
  if (outstanding() >= options_.window) return false;
  if (outstanding() == 0) last_sign_ = now;
  queue_.push_back(std::move(frame));
  return true;
}

std::optional<OutgoingFrame> PeerWindow::next(TimePoint now) {
  if (queue_.empty()) return std::nullopt;
  OutgoingFrame frame = std::move(queue_.front());
  queue_.pop_front();
  frame.resend_at = now + options_.resend_after * (1 << frame.sends);
  frame.sends += 1;
  sent_.push_back(frame);
  return frame;
}

void PeerWindow::put_back() {
  sent_.back().sends -= 1;
  queue_.push_front(std::move(sent_.back()));
  sent_.pop_back();
}

PeerWindow::Answer PeerWindow::acknowledge(const wire::FrameAck& ack, TimePoint now) {
  const auto is_it = [&](const OutgoingFrame& frame) {
    const FrameIdentity& id = frame.identity;
    return id.request == ack.request && id.epoch == ack.epoch && id.lease == ack.lease &&
           id.frame == ack.frame;
  };
  last_sign_ = now;
  // It may be queued once more: the first copy was slow, not lost.
  if (const auto queued = std::find_if(queue_.begin(), queue_.end(), is_it);
      queued != queue_.end() && queued->sends != 0) {
    if (ack.accepted && ack.held) {
      queued->sends = 1;
      return Answer::held;
    }
    if (!ack.accepted && ack.again) return Answer::again;
    queue_.erase(queued);
    return ack.accepted ? Answer::taken : Answer::refused;
  }
  const auto found = std::find_if(sent_.begin(), sent_.end(), is_it);
  if (found == sent_.end()) return Answer::unknown;
  if (ack.accepted && ack.held) {
    found->sends = 1;
    found->resend_at = now + options_.resend_after;
    return Answer::held;
  }
  OutgoingFrame frame = std::move(*found);
  sent_.erase(found);
  if (ack.accepted) return Answer::taken;
  if (!ack.again || frame.payload == nullptr || frame.sends >= options_.max_sends) return Answer::refused;
  frame.whole = true;
  queue_.push_front(std::move(frame));
  return Answer::again;
}

std::uint32_t PeerWindow::resend_due(TimePoint now) {
  std::uint32_t count = 0;
  for (auto at = sent_.begin(); at != sent_.end();) {
    if (at->payload == nullptr || at->sends >= options_.max_sends || now < at->resend_at) {
      ++at;
      continue;
    }
    queue_.push_back(std::move(*at));
    at = sent_.erase(at);
    ++count;
  }
  return count;
}

void PeerWindow::drop(const RequestId& request) {
  std::erase_if(queue_, [&](const OutgoingFrame& frame) { return frame.identity.request == request; });
  for (OutgoingFrame& frame : sent_)
    if (frame.identity.request == request) frame.payload.reset();
}

bool PeerWindow::lost(TimePoint now) const {
  return outstanding() != 0 && now - last_sign_ >= options_.ack_timeout;
}

std::optional<TimePoint> PeerWindow::wake_at() const {
  if (outstanding() == 0) return std::nullopt;
  TimePoint first = last_sign_ + options_.ack_timeout;
  for (const OutgoingFrame& frame : sent_)
    if (frame.payload != nullptr && frame.sends < options_.max_sends)
      first = std::min(first, frame.resend_at);
  return first;
}

std::vector<TransferId> PeerWindow::transfers() const {
  std::vector<TransferId> all;
  const auto add = [&](const OutgoingFrame& frame) {
    all.push_back({frame.identity.request, frame.identity.epoch, frame.identity.lease});
  };
  std::for_each(queue_.begin(), queue_.end(), add);
  std::for_each(sent_.begin(), sent_.end(), add);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace troupe
