#pragma once
// The events of one stream in an order that its tokens alone decide, numbered from 0: whoever makes the
// stream again, with whatever timing, sends the same bytes under the same numbers.
//
// A choice takes steps: its beginning, one per token, its end. Steps go out by rank, those of equal rank by
// choice: (step 0 of choice 0, step 0 of choice 1, ..., step 1 of choice 0, ...). A choice that is ahead
// waits.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::gateway {

class EventSequence {
 public:
  enum class Order : std::uint8_t {
    as_they_come,  ///< no numbers; what comes goes out
    by_step,       ///< numbered
  };
  /// `from`: the first number that is written; events before it are only counted.
  explicit EventSequence(std::size_t choices, Order order = Order::as_they_come, std::uint64_t from = 0);

  /// The events (whole, "data: ...\n\n") that the next step of `choice` made; may be none. `last`: the choice
  /// takes no step after this one. Appends to `out` what may be sent.
  void step(std::size_t choice, std::vector<std::string> events, bool last, std::string& out);
  /// An event behind the last step of every choice.
  void tail(std::string_view event, std::string& out);

 private:
  struct Choice {
    std::deque<std::vector<std::string>> waiting;
    bool ended = false;  ///< no step comes after those that wait
  };
  void write(std::string_view event, std::string& out);

  const Order order_;
  const std::uint64_t from_;
  std::uint64_t next_ = 0;
  std::vector<Choice> choices_;
  std::size_t turn_ = 0;
  std::size_t open_ = 0;  ///< choices with steps to come or to go
};

}  // namespace troupe::gateway
