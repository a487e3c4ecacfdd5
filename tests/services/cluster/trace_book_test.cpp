// What the gateway makes of its own exchanges and of what other roles tell.
#include "services/gateway/trace_book.hpp"

#include <map>

#include <gtest/gtest.h>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

const RequestId kRequest{7, 7};
constexpr Epoch kFirst{1}, kSecond{2};

struct Rig {
  std::shared_ptr<trace::Tracer> tracer = std::make_shared<trace::Tracer>(trace::TracerOptions{1.0});
  std::shared_ptr<RequestTrace> request = RequestTrace::begin(tracer, "", kRequest);
  TraceBook book;
  TimePoint start{1h};
  std::int64_t zero = 0;  ///< of `start`, since 1970

  explicit Rig(TraceLimits limits = {}) : book(limits) {
    request->stage("zero", start, start);
    zero = tracer->of(kRequest).at(0).start_ns;
    book.begin(kRequest, request);
  }
  void placed(Epoch epoch, Duration at, std::string prefill = {}) {
    wire::Placement placement;
    placement.request = kRequest;
    placement.epoch = epoch;
    placement.reason = "load";
    book.placed(placement, "decode-0", std::move(prefill), start + at);
  }
  void told(wire::Role role, Epoch epoch, Duration at, Duration age, std::vector<wire::Spans::Span> spans,
            std::uint32_t choice = 0) {
    wire::Spans message;
    message.request = kRequest;
    message.epoch = epoch;
    message.choice = choice;
    message.role = role;
    message.name = role == wire::Role::router ? "" : "worker-0";
    message.age_ns = age.count();
    message.spans = std::move(spans);
    book.take("tcp://a", message, start + at);
  }
  std::vector<trace::Span> named(const std::string& name) const {
    std::vector<trace::Span> out;
    for (const trace::Span& span : tracer->of(kRequest))
      if (span.name == name) out.push_back(span);
    return out;
  }
  Duration from(const trace::Span& span) const { return Duration(span.start_ns - zero); }
  Duration to(const trace::Span& span) const { return Duration(span.end_ns - zero); }
};

wire::Spans::Span piece(const char* name, Duration from, Duration to, trace::SpanId parent = {9}) {
  wire::Spans::Span span;
  span.id = {static_cast<std::uint64_t>(from.count()) + 100};
  span.parent = parent;
  span.name = name;
  span.start_ns = from.count();
  span.end_ns = to.count();
  return span;
}

std::string text(const trace::Span& span, const std::string& key) {
  for (const auto& [k, value] : span.texts)
    if (k == key) return value;
  return "none";
}

TEST(TraceBook, AnExchangeIsASpanBelowTheRequests) {
  Rig rig;
  const wire::TraceLink asked = rig.book.asked(kRequest, kFirst, rig.start + 1ms);
  EXPECT_EQ(asked.id, rig.request->context().trace);
  EXPECT_EQ(rig.book.asked(kRequest, kFirst, rig.start + 2ms), asked) << "asked again for want of an answer";
  rig.placed(kFirst, 4ms, "prefill-0");
  const wire::TraceLink order = rig.book.order(kRequest, kFirst);
  EXPECT_TRUE(order.recorded());
  EXPECT_NE(order.span, asked.span);
  rig.book.over(kRequest, {}, rig.start + 9ms);
  const auto place = rig.named("place"), placement = rig.named("placement");
  ASSERT_EQ(place.size(), 1U);
  EXPECT_EQ(rig.from(place[0]), 1ms);
  EXPECT_EQ(rig.to(place[0]), 4ms);
  EXPECT_EQ(place[0].id, asked.span);
  EXPECT_EQ(place[0].parent, rig.request->context().span);
  ASSERT_EQ(placement.size(), 1U);
  EXPECT_EQ(placement[0].id, order.span);
  EXPECT_EQ(rig.from(placement[0]), 4ms);
  EXPECT_EQ(rig.to(placement[0]), 9ms);
  EXPECT_FALSE(placement[0].failed);
  EXPECT_EQ(text(placement[0], "troupe.decode"), "decode-0");
  EXPECT_EQ(text(placement[0], "troupe.prefill"), "prefill-0");
}

TEST(TraceBook, AReplayIsASecondPlacement) {
  Rig rig;
  (void)rig.book.asked(kRequest, kFirst, rig.start);
  rig.placed(kFirst, 1ms);
  rig.book.left(kRequest, kFirst, "peer_lost", rig.start + 5ms);
  (void)rig.book.asked(kRequest, kSecond, rig.start + 5ms);
  rig.book.refused(kRequest, kSecond, {Errc::no_ready_worker, {}}, rig.start + 6ms);
  (void)rig.book.asked(kRequest, kSecond, rig.start + 7ms);
  rig.placed(kSecond, 8ms);
  rig.book.over(kRequest, {}, rig.start + 9ms);
  const auto placements = rig.named("placement"), places = rig.named("place");
  ASSERT_EQ(placements.size(), 2U);
  EXPECT_TRUE(placements[0].failed);
  EXPECT_EQ(text(placements[0], "error.type"), "peer_lost");
  EXPECT_FALSE(placements[1].failed);
  ASSERT_EQ(places.size(), 3U) << "a refusal ends one";
  EXPECT_EQ(text(places[1], "error.type"), "no_ready_worker");
}

TEST(TraceBook, PutsWhatOthersTellInTheMiddleOfTheirRoundTrip) {
  Rig rig;
  (void)rig.book.asked(kRequest, kFirst, rig.start);
  rig.told(wire::Role::router, kFirst, 10ms, 6ms, {piece("placing", 1ms, 5ms)});
  rig.placed(kFirst, 10ms);
  const auto placing = rig.named("placing");
  ASSERT_EQ(placing.size(), 1U);
  EXPECT_EQ(rig.from(placing[0]), 3ms);
  EXPECT_EQ(rig.to(placing[0]), 7ms);
  EXPECT_EQ(placing[0].parent.value, 9U);
  EXPECT_EQ(placing[0].origin, (trace::Origin{"router", "router@tcp://a"})) << "it has no name";
  EXPECT_EQ(rig.named("place").at(0).numbers.back(),
            (std::pair<std::string, std::int64_t>{"troupe.transit_us", 4000}));
}

TEST(TraceBook, SpansOfOneOrderKeepTheirDistancesWhateverTheirMessagesTook) {
  Rig rig;
  rig.placed(kFirst, 0ms);
  rig.told(wire::Role::decode, kFirst, 10ms, 6ms, {piece("queue", 0ms, 6ms)});
  rig.told(wire::Role::decode, kFirst, 40ms, 26ms, {piece("first_step", 6ms, 26ms)});
  rig.told(wire::Role::decode, kFirst, 40ms, 30ms, {piece("late", 39ms, 50ms)});
  EXPECT_EQ(rig.to(rig.named("queue").at(0)), 8ms);
  EXPECT_EQ(rig.from(rig.named("first_step").at(0)), 8ms) << "not 13, as its own message would say";
  EXPECT_EQ(rig.to(rig.named("late").at(0)), 32ms) << "nothing ends after the message that tells it was sent";
  rig.told(wire::Role::decode, kFirst, 40ms, 30ms, {piece("other", 0ms, 1ms)}, 1);
  EXPECT_EQ(rig.from(rig.named("other").at(0)), 5ms) << "another order has a coming of its own";
  EXPECT_EQ(rig.named("queue").at(0).origin, (trace::Origin{"decode", "worker-0"}));
}

TEST(TraceBook, TakesLateSpansOfTheLastRequests) {
  Rig rig({1024, 2});
  rig.placed(kFirst, 0ms);
  rig.book.over(kRequest, {}, rig.start + 5ms);
  rig.told(wire::Role::decode, kFirst, 6ms, 5ms, {piece("decode", 1ms, 5ms)});
  EXPECT_EQ(rig.named("decode").size(), 1U);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    rig.book.begin({i, i}, RequestTrace::begin(rig.tracer, "", {i, i}));
    rig.book.over({i, i}, {}, rig.start);
  }
  EXPECT_EQ(rig.book.size(), 2U) << "no more are held";
  rig.told(wire::Role::decode, kFirst, 7ms, 5ms, {piece("decode", 1ms, 5ms)});
  EXPECT_EQ(rig.named("decode").size(), 1U);
  EXPECT_EQ(rig.book.counters().dropped, 1U);
  EXPECT_EQ(rig.book.counters().received, 2U);
}

TEST(TraceBook, DropsAndCountsWhatIsOverARequestsBound) {
  Rig rig({4, 2});
  rig.placed(kFirst, 0ms);
  for (int i = 0; i < 3; ++i)
    rig.told(wire::Role::decode, kFirst, 6ms, 5ms, {piece("x", 1ms, 5ms), piece("y", 2ms, 5ms)});
  EXPECT_EQ(rig.named("x").size() + rig.named("y").size(), 4U);
  EXPECT_EQ(rig.book.counters().dropped, 2U);
  rig.book.over(kRequest, {}, rig.start + 9ms);
  EXPECT_TRUE(rig.named("placement").empty());
}

TEST(TraceBook, TimesThatCannotBeLieWithinTheirOrder) {
  Rig rig;
  rig.placed(kFirst, 0ms);
  rig.told(wire::Role::decode, kFirst, 6ms, Duration::max(), {piece("x", Duration::min(), Duration::max())});
  EXPECT_EQ(rig.from(rig.named("x").at(0)), 0ms);
  EXPECT_EQ(rig.to(rig.named("x").at(0)), 6ms);
  rig.told(wire::Role::decode, {9}, 6ms, 5ms, {piece("y", 1ms, 2ms)});
  EXPECT_TRUE(rig.named("y").empty()) << "nobody was asked under that epoch";
}

TEST(TraceBook, KnowsNothingOfWhatNobodyRecords) {
  TraceBook book;
  book.begin(kRequest, nullptr);
  EXPECT_FALSE(book.asked(kRequest, kFirst, TimePoint{1h}).recorded());
  book.left(kRequest, kFirst, {}, TimePoint{1h});
  book.over(kRequest, {}, TimePoint{1h});
  EXPECT_FALSE(book.order(kRequest, kFirst).recorded());
  EXPECT_EQ(book.size(), 0U);
}

}  // namespace
}  // namespace troupe::gateway
