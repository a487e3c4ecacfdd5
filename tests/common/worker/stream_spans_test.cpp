#include "common/worker/stream_spans.hpp"

#include <gtest/gtest.h>

#include <map>

namespace troupe::worker {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kHeard{1h};

StreamSpans spans_of(std::uint32_t first_choice = 0, std::uint32_t choices = 1) {
  return StreamSpans(
      actors::SpanLog({{1, 2}, {3}}, {{7, 7}, {1}, first_choice, wire::Role::decode, "decode-0"}, kHeard),
      first_choice, choices);
}

engine::TokenEvent event(std::uint32_t choice, std::size_t tokens = 1,
                         FinishReason finish = FinishReason::none) {
  engine::TokenEvent out;
  out.choice = choice;
  out.tokens.resize(tokens);
  out.finish = finish;
  return out;
}

std::shared_ptr<engine::StageNews> news(Duration queued, Duration admitted, Duration first) {
  auto out = std::make_shared<engine::StageNews>();
  out->times.queued = kHeard + queued;
  out->times.admitted = kHeard + admitted;
  out->times.first_token = kHeard + first;
  out->prompt_steps = 3;
  return out;
}

std::map<std::string, wire::Spans::Span> by_name(const std::optional<wire::Spans>& told) {
  std::map<std::string, wire::Spans::Span> out;
  if (told)
    for (const auto& span : told->spans) out[span.name] = span;
  return out;
}

TEST(StreamSpans, AFirstTokenFromElsewhereBeginsDecodingWhilePagesAreAwaited) {
  StreamSpans spans = spans_of();
  spans.pages_asked(false, kHeard + 1ms);
  spans.first_came(kHeard + 5ms);
  EXPECT_FALSE(spans.take(kHeard + 5ms)) << "no stage is over";
  spans.pages_came(96, {}, kHeard + 8ms);
  auto next = event(0);
  next.news = news(0ms, 1ms, 8ms);
  spans.made(next, kHeard + 9ms);
  auto last = event(0, 1, FinishReason::stop);
  spans.made(last, kHeard + 12ms);
  auto told = by_name(spans.take(kHeard + 12ms));
  EXPECT_EQ(told.size(), 2U) << "no first step was made here";
  EXPECT_EQ(told["wait_for_pages"].end_ns, Duration(8ms).count());
  EXPECT_EQ(told["decode"].start_ns, Duration(5ms).count());
  EXPECT_EQ(told["decode"].end_ns, Duration(12ms).count());
}

TEST(StreamSpans, TellsEachStageAtItsEnd) {
  StreamSpans spans = spans_of();
  EXPECT_FALSE(spans.take(kHeard + 1ms));
  auto first = event(0);
  first.news = news(1ms, 4ms, 9ms);
  spans.made(first, kHeard + 10ms);
  auto told = by_name(spans.take(kHeard + 10ms));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told["queue"].start_ns, Duration(1ms).count());
  EXPECT_EQ(told["queue"].end_ns, Duration(4ms).count());
  EXPECT_EQ(told["first_step"].end_ns, Duration(9ms).count());
  EXPECT_EQ(told["first_step"].numbers.at(0), (std::pair<std::string, std::int64_t>{"troupe.chunks", 3}));
  spans.made(event(0, 4), kHeard + 20ms);
  EXPECT_FALSE(spans.take(kHeard + 20ms)) << "decoding goes on";
  auto last = event(0, 1, FinishReason::stop);
  last.times = engine::StageTimes{};
  last.times->last_token = kHeard + 29ms;
  spans.made(last, kHeard + 30ms);
  told = by_name(spans.take(kHeard + 30ms));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told["decode"].start_ns, Duration(9ms).count());
  EXPECT_EQ(told["decode"].end_ns, Duration(29ms).count());
  EXPECT_EQ(told["decode"].numbers.at(1).second, 6) << "tokens";
  EXPECT_EQ(told["decode"].numbers.at(2).second, 3) << "in as many steps";
  spans.over("peer_lost", kHeard + 40ms);
  EXPECT_FALSE(spans.take(kHeard + 40ms)) << "everything was told";
}

TEST(StreamSpans, AnImportedPromptsFirstStepBeginsWithItsPages) {
  StreamSpans spans = spans_of();
  spans.pages_asked(false, kHeard + 2ms);
  EXPECT_EQ(spans.pages_link().id, (trace::TraceId{1, 2}));
  spans.pages_came(640, {}, kHeard + 8ms);
  auto told = by_name(spans.take(kHeard + 8ms));
  EXPECT_EQ(told["wait_for_pages"].id, spans.pages_link().span);
  EXPECT_EQ(told["wait_for_pages"].start_ns, Duration(2ms).count());
  auto first = event(0);
  first.news = news(1ms, 1ms, 9ms);
  spans.made(first, kHeard + 10ms);
  told = by_name(spans.take(kHeard + 10ms));
  ASSERT_EQ(told.size(), 1U) << "it had its place before";
  EXPECT_EQ(told["first_step"].start_ns, Duration(8ms).count());
}

TEST(StreamSpans, PagesThatDoNotComeAreAFailedWait) {
  StreamSpans spans = spans_of();
  spans.pages_came(0, "peer_lost", kHeard);
  EXPECT_FALSE(spans.take(kHeard)) << "nobody asked for any";
  spans.pages_asked(true, kHeard + 2ms);
  spans.pages_came(0, "peer_lost", kHeard + 8ms);
  const auto told = by_name(spans.take(kHeard + 8ms));
  ASSERT_EQ(told.count("fetch_pages"), 1U);
  EXPECT_TRUE(told.at("fetch_pages").failed);
  EXPECT_EQ(told.at("fetch_pages").texts.at(0).second, "peer_lost");
  // It is computed here after all, and queued for that.
  StreamSpans& again = spans;
  auto first = event(0);
  first.news = news(9ms, 10ms, 12ms);
  again.made(first, kHeard + 12ms);
  EXPECT_EQ(by_name(again.take(kHeard + 12ms)).count("queue"), 1U);
}

TEST(StreamSpans, TimesAwayHangBelowTheStageTheyInterrupt) {
  StreamSpans spans = spans_of();
  auto first = event(0);
  auto early = news(1ms, 2ms, 9ms);
  early->absences.push_back({kHeard + 4ms, kHeard + 6ms, false});
  first.news = early;
  spans.made(first, kHeard + 9ms);
  const auto begun = by_name(spans.take(kHeard + 9ms));
  ASSERT_EQ(begun.count("preempted"), 1U);
  EXPECT_EQ(begun.at("preempted").parent, begun.at("first_step").id);
  auto later = event(0);
  auto swapped = news(1ms, 2ms, 9ms);
  swapped->absences.push_back({kHeard + 12ms, kHeard + 16ms, true});
  later.news = swapped;
  spans.made(later, kHeard + 17ms);
  spans.made(event(0, 1, FinishReason::length), kHeard + 18ms);
  const auto ended = by_name(spans.take(kHeard + 18ms));
  ASSERT_EQ(ended.count("preempted"), 1U);
  EXPECT_EQ(ended.at("preempted").parent, ended.at("decode").id);
  EXPECT_EQ(ended.at("preempted").numbers.at(0).second, 1) << "swapped";
}

TEST(StreamSpans, ChoicesShareTheirPromptAndDecodeApart) {
  StreamSpans spans = spans_of(2, 2);
  for (const std::uint32_t choice : {3U, 2U, 4U, 1U}) {
    auto first = event(choice);
    first.news = news(1ms, 2ms, 9ms);
    spans.made(first, kHeard + 9ms);
  }
  EXPECT_EQ(spans.take(kHeard + 9ms)->spans.size(), 2U)
      << "queue and first_step, once; others' choices are not taken";
  spans.over({}, kHeard + 11ms);
  const auto told = spans.take(kHeard + 11ms);
  ASSERT_EQ(told->spans.size(), 2U);
  EXPECT_EQ(told->spans[0].numbers.at(0).second, 2);
  EXPECT_EQ(told->spans[1].numbers.at(0).second, 3);
  EXPECT_FALSE(told->spans[0].failed) << "cancelled is no failure";
  EXPECT_NE(told->spans[0].id, told->spans[1].id);
}

TEST(StreamSpans, AStreamThatFailsSaysWhy) {
  StreamSpans spans = spans_of();
  spans.over("queue_full", kHeard + 3ms);
  auto told = by_name(spans.take(kHeard + 3ms));
  ASSERT_EQ(told.count("queue"), 1U) << "it never came to a token";
  EXPECT_TRUE(told["queue"].failed);
  StreamSpans running = spans_of();
  running.made(event(0), kHeard + 4ms);
  auto failed = event(0, 0, FinishReason::error);
  failed.error = Error{Errc::deadline_exceeded, "x"};
  running.made(failed, kHeard + 6ms);
  told = by_name(running.take(kHeard + 6ms));
  EXPECT_TRUE(told["decode"].failed);
  EXPECT_EQ(told["decode"].texts.at(0).second, "deadline_exceeded");
}

}  // namespace
}  // namespace troupe::worker
