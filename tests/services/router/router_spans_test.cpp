// What the router tells of a recorded request.
#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

wire::PlaceRequest recorded(std::uint64_t id, std::string model = "m") {
  wire::PlaceRequest ask;
  ask.max_tokens = 100;
  ask.request = {id, id};
  ask.epoch = {3};
  ask.model = std::move(model);
  ask.prompt_tokens = 40;
  ask.trace = {{1, 2}, {9}};
  return ask;
}

std::string text(const wire::Spans::Span& span, const std::string& key) {
  for (const auto& [k, value] : span.texts)
    if (k == key) return value;
  return "none";
}

TEST(RouterSpans, APlacingIsToldBeforeItsAnswer) {
  struct Late final : Clock {
    [[nodiscard]] TimePoint now() const override { return ManualClock().now() + 3ms; }
  };
  const Late clock;
  RouterOptions options;
  options.clock = &clock;
  Rig rig(options);
  rig.join(1, wire::Role::decode);
  rig.beat(1);
  const auto out = rig.send("tcp://n50", recorded(7));
  ASSERT_EQ(out.size(), 2U);
  const auto told = wire::unpack<wire::Spans>(out[0].message);
  ASSERT_TRUE(told);
  EXPECT_EQ(out[1].message.type, wire::kPlacementNumber);
  EXPECT_EQ(out[0].to, "tcp://n50");
  EXPECT_EQ(told->request, (RequestId{7, 7}));
  EXPECT_EQ(told->epoch.value, 3U);
  EXPECT_EQ(told->role, wire::Role::router);
  EXPECT_EQ(told->age_ns, Duration(3ms).count());
  ASSERT_EQ(told->spans.size(), 1U);
  const auto& span = told->spans[0];
  EXPECT_EQ(span.name, "placing");
  EXPECT_EQ(span.parent.value, 9U);
  EXPECT_EQ(span.start_ns, 0);
  EXPECT_EQ(span.end_ns, Duration(3ms).count());
  EXPECT_EQ(text(span, "troupe.policy"), "predicted_ttft");
  EXPECT_EQ(text(span, "troupe.decode"), "n1");
  EXPECT_FALSE(span.failed);
  EXPECT_EQ(rig.send("tcp://n50", recorded(7)).size(), 1U) << "a repeated answer is not placed again";
}

TEST(RouterSpans, ARefusalIsToldToo) {
  Rig rig;
  const auto out = rig.send("tcp://n50", recorded(7));
  ASSERT_EQ(out.size(), 2U);
  const auto told = wire::unpack<wire::Spans>(out[0].message);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->spans.at(0).failed);
  EXPECT_EQ(text(told->spans[0], "error.type"), "model_not_found");
}

TEST(RouterSpans, NothingIsToldOfWhatNobodyRecords) {
  Rig rig;
  rig.join(1, wire::Role::decode);
  rig.beat(1);
  EXPECT_EQ(rig.place(7, 40).size(), 1U);
}

}  // namespace
}  // namespace troupe::router
