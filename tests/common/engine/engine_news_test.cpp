// What an engine tells of traced requests, and that it tells nothing of others.
#include <memory>

#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

Request traced(std::uint64_t id, std::size_t prompt, std::uint32_t answer, std::int32_t priority = 0) {
  Request request;
  request.id = {1, id};
  for (std::size_t i = 0; i < prompt; ++i)
    request.prompt.push_back(static_cast<TokenId>((id * 31 + i * 7) % 200));
  request.max_tokens = answer;
  request.sampling.temperature = 0;
  request.priority = priority;
  request.traced = true;
  return request;
}

std::vector<std::shared_ptr<const StageNews>> news_of(const StepOutput& out, const Request& request) {
  std::vector<std::shared_ptr<const StageNews>> found;
  for (const TokenEvent& event : out.tokens)
    if (event.id == request.id && event.news) found.push_back(event.news);
  return found;
}

TEST(EngineNews, ComesWithTheFirstTokenAndAfterEachAbsence) {
  EngineSetup setup;
  setup.options.max_sequences = 1;
  setup.options.token_budget = setup.options.chunk = 64;
  auto engine = make_engine(setup);
  const Request low = traced(1, 150, 30);
  Request high = traced(2, 20, 3, 1);
  high.traced = false;
  Answers alone, answers;
  {
    auto other = make_engine({});
    Request plain = low;
    plain.traced = false;
    ASSERT_TRUE(other->submit(plain).has_value());
    run(*other, alone);
  }
  ASSERT_TRUE(engine->submit(low).has_value());
  std::vector<std::shared_ptr<const StageNews>> news;
  const auto step = [&] {
    const StepOutput out = engine->step();
    collect(out, answers);
    for (const auto& each : news_of(out, low)) news.push_back(each);
    EXPECT_TRUE(news_of(out, high).empty());
  };
  for (int i = 0; i < 6; ++i) step();
  ASSERT_EQ(news.size(), 1U) << "with the first token only";
  EXPECT_EQ(news[0]->prompt_steps, 3U) << "150 tokens by 64";
  EXPECT_TRUE(news[0]->absences.empty());
  EXPECT_NE(news[0]->times.queued, TimePoint{});
  EXPECT_LE(news[0]->times.queued, news[0]->times.admitted);
  EXPECT_LE(news[0]->times.admitted, news[0]->times.first_token);
  ASSERT_TRUE(engine->submit(high).has_value());
  while (engine->has_work()) step();
  EXPECT_EQ(engine->stats().preemptions, 1U);
  ASSERT_EQ(news.size(), 2U);
  ASSERT_EQ(news[1]->absences.size(), 1U);
  EXPECT_LT(news[1]->absences[0].from, news[1]->absences[0].to);
  EXPECT_GE(news[1]->absences[0].from, news[1]->times.first_token);
  EXPECT_EQ((answers.at({low.id, 0})), (alone.at({low.id, 0}))) << "who is watched says the same";
}

TEST(EngineNews, EachChoiceTellsOfItsOwn) {
  auto engine = make_engine({});
  Request request = traced(3, 40, 4);
  request.choices = 3;
  request.sampling.temperature = 1;
  ASSERT_TRUE(engine->submit(request).has_value());
  std::map<std::uint32_t, int> told;
  while (engine->has_work())
    for (const TokenEvent& event : engine->step().tokens) told[event.choice] += event.news ? 1 : 0;
  EXPECT_EQ(told, (std::map<std::uint32_t, int>{{0, 1}, {1, 1}, {2, 1}}));
}

TEST(EngineNews, OfAPromptForSomebodyElseComesWithItsEnd) {
  EngineSetup setup;
  setup.options.token_budget = setup.options.chunk = 64;
  auto engine = make_engine(setup);
  for (const bool cached : {false, true}) {
    const Request request = traced(5, 200, 0);
    ASSERT_TRUE(
        engine->submit_prefill(request, 192, [](const PrefillProgress&) { return true; }).has_value());
    std::vector<std::pair<RequestId, std::shared_ptr<const StageNews>>> news;
    std::size_t done = 0;
    for (int i = 0; i < 100 && done == 0; ++i) {
      const StepOutput out = engine->step();
      done += out.prefilled.size();
      news.insert(news.end(), out.prefill_news.begin(), out.prefill_news.end());
    }
    ASSERT_EQ(done, 1U);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news[0].first, request.id);
    const StageNews& told = *news[0].second;
    EXPECT_EQ(told.prompt_steps, cached ? 0U : 3U);
    EXPECT_LE(told.times.queued, told.times.admitted);
    EXPECT_LE(told.times.admitted, told.times.first_token) << "its first pages";
    EXPECT_LE(told.times.first_token, told.times.last_token);
    engine->release_prefill(request.id);
  }
}

TEST(EngineNews, NobodyAskedNobodyIsTold) {
  auto engine = make_engine({});
  Request request = traced(6, 40, 4);
  request.traced = false;
  ASSERT_TRUE(engine->submit(request).has_value());
  request.id = {1, 7};
  ASSERT_TRUE(engine->submit_prefill(request, 32, [](const PrefillProgress&) { return true; }).has_value());
  while (engine->has_work()) {
    const StepOutput out = engine->step();
    EXPECT_TRUE(out.prefill_news.empty());
    for (const TokenEvent& event : out.tokens) EXPECT_FALSE(event.news);
  }
  engine->release_prefill(request.id);
}

}  // namespace
}  // namespace troupe::engine
