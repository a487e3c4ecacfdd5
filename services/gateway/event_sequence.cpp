#include "services/gateway/event_sequence.hpp"

#include <utility>

namespace troupe::gateway {

EventSequence::EventSequence(std::size_t choices, Order order, std::uint64_t from)
    : order_(order), from_(from), choices_(choices), open_(choices) {}

void EventSequence::write(std::string_view event, std::string& out) {
  if (order_ == Order::as_they_come) {
    out += event;
    return;
  }
  const std::uint64_t number = next_++;
  if (number < from_) return;
  out += "id: ";
  out += std::to_string(number);
  out += '\n';
  out += event;
}

void EventSequence::step(std::size_t choice, std::vector<std::string> events, bool last, std::string& out) {
  if (order_ == Order::as_they_come) {
    for (const std::string& event : events) write(event, out);
    return;
  }
  choices_[choice].waiting.push_back(std::move(events));
  choices_[choice].ended = last;
  while (open_ > 0) {
    Choice& next = choices_[turn_];
    if (next.waiting.empty() && !next.ended) return;
    if (!next.waiting.empty()) {
      for (const std::string& event : next.waiting.front()) write(event, out);
      next.waiting.pop_front();
      if (next.waiting.empty() && next.ended) --open_;
    }
    turn_ = (turn_ + 1) % choices_.size();
  }
}

void EventSequence::tail(std::string_view event, std::string& out) {
  write(event, out);
}

}  // namespace troupe::gateway
