// A recorded request through gateway, router and workers as plain state classes: whose spans there are, below
// which, and that they nest in time.
#include <gtest/gtest.h>

#include "services/gateway/request_trace.hpp"
#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Stage {
  explicit Stage(std::uint64_t seed = 1, SimFaults faults = {}, int decoders = 1, int prefillers = 0)
      : sim(seed, faults) {
    sim.add_router();
    sim.add_gateway();
    for (int i = 0; i < decoders; ++i) sim.add_worker(wire::Role::decode, "decode-" + std::to_string(i));
    for (int i = 0; i < prefillers; ++i) sim.add_worker(wire::Role::prefill, "prefill-" + std::to_string(i));
    EXPECT_TRUE(sim.ready(static_cast<std::size_t>(decoders)));
    sim.run_for(3s);
    sim.filter = [this](const std::string&, const std::string& to, const wire::Envelope& message) {
      if (message.type == wire::Spans::kNumber) ++told[to];
      return true;
    };
  }
  std::shared_ptr<RecordingSink> start(gateway::GenerateJob job) {
    job.trace = gateway::RequestTrace::begin(tracer, "", job.id);
    id = job.id;
    root = job.trace->context().span;
    return sim.start(std::move(job));
  }
  [[nodiscard]] std::vector<trace::Span> spans() const { return tracer->of(id); }
  [[nodiscard]] std::vector<trace::Span> named(const std::string& name,
                                               const std::string& instance = {}) const {
    std::vector<trace::Span> out;
    for (const trace::Span& span : spans())
      if (span.name == name && (instance.empty() || span.origin.instance == instance)) out.push_back(span);
    return out;
  }
  /// Every span but those of the gateway hangs below another one of this trace, and lies within it.
  void expect_nested() const {
    std::map<std::uint64_t, trace::Span> by_id;
    for (const trace::Span& span : spans())
      EXPECT_TRUE(by_id.emplace(span.id.value, span).second) << span.name;
    for (const auto& [number, span] : by_id) {
      EXPECT_LE(span.start_ns, span.end_ns) << span.name;
      if (span.parent == root) continue;
      const auto parent = by_id.find(span.parent.value);
      ASSERT_NE(parent, by_id.end()) << span.name << " of " << span.origin.instance;
      EXPECT_GE(span.start_ns, parent->second.start_ns) << span.name << " in " << parent->second.name;
      EXPECT_LE(span.end_ns, parent->second.end_ns) << span.name << " in " << parent->second.name;
    }
  }
  SimCluster sim;
  std::shared_ptr<trace::Tracer> tracer = std::make_shared<trace::Tracer>(trace::TracerOptions{1.0});
  RequestId id;
  trace::SpanId root;
  std::map<std::string, int> told;
};

std::int64_t number(const trace::Span& span, const std::string& key) {
  for (const auto& [k, value] : span.numbers)
    if (k == key) return value;
  return -1;
}

TEST(ClusterSpans, APromptPrefilledElsewhereIsOneTraceOfFourRoles) {
  Stage s(5, {}, 1, 1);
  const auto sink = s.start(fake_job(5, 1000, 10));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  s.expect_nested();
  ASSERT_EQ(s.named("place").size(), 1U);
  ASSERT_EQ(s.named("placement").size(), 1U);
  const trace::Span place = s.named("place")[0], placement = s.named("placement")[0];
  const auto placing = s.named("placing");
  ASSERT_EQ(placing.size(), 1U);
  EXPECT_EQ(placing[0].parent, place.id);
  EXPECT_EQ(placing[0].origin.role, "router");
  const auto pages = s.named("wait_for_pages", "decode-0");
  ASSERT_EQ(pages.size(), 1U);
  EXPECT_EQ(pages[0].parent, placement.id);
  EXPECT_EQ(number(pages[0], "troupe.tokens"), 992);
  for (const char* name : {"queue", "prefill", "send_pages"}) {
    const auto found = s.named(name, "prefill-0");
    ASSERT_EQ(found.size(), 1U) << name;
    EXPECT_EQ(found[0].parent, pages[0].id) << name;
    EXPECT_EQ(found[0].origin.role, "prefill");
  }
  EXPECT_EQ(number(s.named("prefill")[0], "troupe.chunks"), 8) << "1000 tokens by 128";
  ASSERT_EQ(s.named("decode", "decode-0").size(), 1U);
  EXPECT_TRUE(s.named("first_step").empty()) << "the prefill worker drew the first token";
  EXPECT_TRUE(s.named("queue", "decode-0").empty()) << "it had its place since its pages were asked for";
  const trace::Span decode = s.named("decode")[0];
  EXPECT_EQ(number(decode, "troupe.tokens"), 10);
  EXPECT_EQ(decode.parent, placement.id);
  EXPECT_EQ(number(decode, "troupe.steps"), 9) << "behind the first token";
  EXPECT_GE(decode.start_ns, pages[0].start_ns);
  EXPECT_LE(decode.start_ns, pages[0].end_ns) << "it begins before the pages are here";
  EXPECT_EQ(s.sim.gateway->counters().spans_dropped, 0U);
}

TEST(ClusterSpans, PagesOfAPeerHangBelowTheirFetch) {
  Stage s(7, {}, 2);
  const auto sink = s.start(fake_job(6, 1000, 400));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= 10; }));
  const std::string holder = s.sim.workers["decode-0"]->state->active() != 0 ? "decode-0" : "decode-1";
  s.sim.drain(holder);  // its stream moves, and the new worker fetches its pages
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  ASSERT_EQ(s.sim.gateway->counters().handovers, 1U);
  const auto placements = s.named("placement"), fetched = s.named("fetch_pages"),
             sent = s.named("send_pages", holder);
  ASSERT_EQ(placements.size(), 2U);
  EXPECT_FALSE(placements[0].failed);
  EXPECT_LT(placements[1].start_ns, placements[0].end_ns) << "both have it for a while";
  ASSERT_EQ(fetched.size(), 1U);
  EXPECT_EQ(fetched[0].parent, placements[1].id);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].parent, fetched[0].id);
  EXPECT_GE(sent[0].start_ns, fetched[0].start_ns);
  EXPECT_LE(sent[0].end_ns, fetched[0].end_ns);
  EXPECT_GE(number(sent[0], "troupe.tokens"), 992);
}

TEST(ClusterSpans, ADeathShowsBothPlacementsWithTheirSpans) {
  Stage s(9, {}, 2);
  const auto sink = s.start(fake_job(9, 200, 40));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= 10; }));
  const std::string dead = s.sim.workers["decode-0"]->state->active() != 0 ? "decode-0" : "decode-1";
  const std::string other = dead == "decode-0" ? "decode-1" : "decode-0";
  s.sim.kill(dead);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_TRUE(sink->done);
  s.expect_nested();
  const auto placements = s.named("placement");
  ASSERT_EQ(placements.size(), 2U);
  EXPECT_TRUE(placements[0].failed);
  EXPECT_FALSE(placements[1].failed);
  EXPECT_EQ(number(placements[1], "troupe.epoch"), 2);
  EXPECT_EQ(s.named("placing").size(), 2U);
  for (const auto& [worker, placement] : {std::pair(dead, placements[0]), std::pair(other, placements[1])}) {
    ASSERT_EQ(s.named("first_step", worker).size(), 1U) << worker;
    EXPECT_EQ(s.named("first_step", worker)[0].parent, placement.id);
    EXPECT_EQ(s.named("queue", worker).at(0).parent, placement.id);
  }
  EXPECT_TRUE(s.named("decode", dead).empty()) << "it died before it could tell";
  EXPECT_EQ(s.named("decode", other).size(), 1U);
}

TEST(ClusterSpans, ACancelledStreamTellsHowFarItCame) {
  Stage s;
  auto job = fake_job(3, 100, 4000);
  const auto sink = s.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= 5; }));
  s.sim.cancel(job.id);
  ASSERT_TRUE(s.sim.run_until([&] { return !s.named("decode").empty(); }));
  EXPECT_GE(number(s.named("decode")[0], "troupe.tokens"), 5);
  EXPECT_FALSE(s.named("decode")[0].failed);
  EXPECT_TRUE(s.sim.run_until([&] { return s.sim.leftovers().empty(); }, 3min));
}

TEST(ClusterSpans, ChoicesHaveADecodeSpanEach) {
  Stage s;
  const auto sink = s.start(fake_job(2, 100, 15, 4));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  s.expect_nested();
  EXPECT_EQ(s.named("decode").size(), 4U);
  EXPECT_EQ(s.named("first_step").size(), 1U) << "the prompt was everybody's";
}

TEST(ClusterSpans, WhatNobodyRecordsIsNotToldOf) {
  Stage s(5, {}, 1, 1);
  std::uint64_t orders = 0;
  s.sim.filter = [&, counted = s.sim.filter](const std::string& from, const std::string& to,
                                             const wire::Envelope& message) {
    if (const auto place = wire::unpack<wire::PlaceRequest>(message))
      orders += place->trace.recorded() ? 1 : 0;
    if (const auto generate = wire::unpack<wire::Generate>(message))
      orders += generate->trace.recorded() ? 1 : 0;
    if (const auto prefill = wire::unpack<wire::PrefillRequest>(message))
      orders += prefill->trace.recorded() ? 1 : 0;
    return counted(from, to, message);
  };
  auto sink = s.sim.start(fake_job(5, 1000, 10));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(orders, 0U);
  EXPECT_TRUE(s.told.empty());
  EXPECT_EQ(s.sim.gateway->counters().spans_received, 0U);
  sink = s.start(fake_job(6, 1000, 10));
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(orders, 3U) << "the same one recorded carries its trace to each of them";
  // placing; what the prefill worker tells, passed on; pages and decode.
  EXPECT_EQ(s.told["tcp://gateway"], 4);
  EXPECT_EQ(s.told["tcp://decode-0"], 1);
}

TEST(ClusterSpans, LostAndRepeatedMessagesCostSpansAtMost) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SimFaults faults;
    faults.lose = 0.05;
    faults.repeat = 0.05;
    faults.overtake = 0.1;
    Stage s(seed, faults, 2, 1);
    const auto job = fake_job(seed, 900, 30);
    const auto sink = s.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); })) << seed;
    EXPECT_EQ(check_answer(job, *sink), "") << seed;
    EXPECT_TRUE(s.sim.run_until([&] { return s.sim.leftovers().empty(); }, 3min))
        << seed << s.sim.leftovers();
    EXPECT_LE(s.spans().size(), 100U);
  }
}

}  // namespace
}  // namespace troupe::test
