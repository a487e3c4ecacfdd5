// Events leave in one order and under one numbering, whatever the timing of the choices.
#include "services/gateway/event_sequence.hpp"

#include <gtest/gtest.h>

#include <random>

namespace troupe::test {
namespace {

using gateway::EventSequence;
using Order = EventSequence::Order;

std::string event(const std::string& text) {
  return "data: " + text + "\n\n";
}

/// Choices of different lengths; step s of choice c makes s % 3 events.
struct Script {
  std::vector<std::size_t> steps{5, 1, 8, 3};
  std::vector<std::string> events(std::size_t choice, std::size_t step) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < step % 3; ++i)
      out.push_back(event(std::to_string(choice) + "." + std::to_string(step) + "." + std::to_string(i)));
    return out;
  }
};

std::string play(const Script& script, std::mt19937_64& rng, std::uint64_t from) {
  EventSequence sequence(script.steps.size(), Order::by_step, from);
  std::vector<std::size_t> at(script.steps.size(), 0);
  std::string out;
  for (;;) {
    std::vector<std::size_t> open;
    for (std::size_t c = 0; c < at.size(); ++c)
      if (at[c] < script.steps[c]) open.push_back(c);
    if (open.empty()) break;
    const std::size_t c = open[rng() % open.size()];
    const std::size_t step = at[c]++;
    sequence.step(c, script.events(c, step), at[c] == script.steps[c], out);
  }
  sequence.tail(event("[DONE]"), out);
  return out;
}

TEST(EventSequence, OneChoiceIsNumberedFromZero) {
  EventSequence sequence(1, Order::by_step);
  std::string out;
  sequence.step(0, {event("a"), event("b")}, false, out);
  EXPECT_EQ(out, "id: 0\ndata: a\n\nid: 1\ndata: b\n\n");
  out.clear();
  sequence.step(0, {}, true, out);
  sequence.tail(event("[DONE]"), out);
  EXPECT_EQ(out, "id: 2\ndata: [DONE]\n\n");
}

TEST(EventSequence, UnnumberedEventsLeaveAsTheyCome) {
  EventSequence sequence(2);
  std::string out;
  sequence.step(1, {event("b")}, true, out);
  sequence.step(0, {event("a")}, true, out);
  EXPECT_EQ(out, event("b") + event("a"));
}

TEST(EventSequence, AChoiceThatIsAheadWaitsAndOneThatEndedHoldsNobodyUp) {
  EventSequence sequence(2, Order::by_step);
  std::string out;
  sequence.step(1, {event("b0")}, false, out);
  sequence.step(1, {event("b1")}, false, out);
  EXPECT_EQ(out, "");
  sequence.step(0, {event("a0")}, true, out);
  EXPECT_EQ(out, "id: 0\n" + event("a0") + "id: 1\n" + event("b0") + "id: 2\n" + event("b1"));
  sequence.step(1, {event("b2")}, true, out);
  EXPECT_NE(out.find("b2"), std::string::npos);
}

TEST(EventSequence, TheBytesDoNotDependOnTheTiming) {
  const Script script;
  std::mt19937_64 rng(1);
  const std::string first = play(script, rng, 0);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(play(script, rng, 0), first);
}

TEST(EventSequence, FromANumberOnTheRestIsTheSame) {
  const Script script;
  std::mt19937_64 rng(2);
  const std::string whole = play(script, rng, 0);
  for (std::uint64_t from = 0;; ++from) {
    const auto at = whole.find("id: " + std::to_string(from) + "\n");
    if (at == std::string::npos) {
      EXPECT_GT(from, 10u);
      EXPECT_EQ(play(script, rng, from), "");
      break;
    }
    ASSERT_EQ(play(script, rng, from), whole.substr(at)) << from;
  }
}

}  // namespace
}  // namespace troupe::test
