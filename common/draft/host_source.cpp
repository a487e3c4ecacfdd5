#include "common/draft/host_source.hpp"

namespace troupe::draft {

bool HostSource::order(speculation::DraftOrder order) {
  HostOrder next;
  next.session = {{}, order.sequence.value};
  next.round = order.round;
  next.held = order.held;
  next.held_hash = order.held_hash;
  next.tokens = std::move(order.tokens);
  next.wanted = order.wanted;
  host_->order(std::move(next), clock_.now());
  return true;
}

std::optional<speculation::DraftAnswer> HostSource::take(speculation::SequenceNumber sequence) {
  while (true) {
    for (HostAnswer& one : host_->take_answers()) answers_[one.session] = std::move(one.answer);
    if (auto found = answers_.extract({{}, sequence.value})) return std::move(found.mapped());
    if (!host_->has_work()) return std::nullopt;
    host_->step(clock_.now());
  }
}

void HostSource::forget(speculation::SequenceNumber sequence) {
  host_->forget({{}, sequence.value});
  answers_.erase({{}, sequence.value});
}

}  // namespace troupe::draft
