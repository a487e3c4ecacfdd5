// Several listeners of one computation hear the same, whenever they come.
#include "services/gateway/shared_dispatcher.hpp"

#include <gtest/gtest.h>

#include "tests/services/gateway/fake_dispatcher.hpp"

namespace troupe::test {
namespace {

using gateway::GenerateJob;
using gateway::SharedDispatcher;

class Listener final : public gateway::AnswerSink {
 public:
  void on_start(gateway::AnswerStart start) override {
    ++starts;
    cached = start.cached_tokens;
  }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    for (const GeneratedToken& token : tokens) heard[choice].push_back(token.token);
    if (finish != FinishReason::none) finishes[choice] = finish;
  }
  void on_score(std::uint32_t choice, double score) override { scores[choice] = score; }
  void on_done(const gateway::DraftUsage&) override { ++ends; }
  void on_error(const Error& e) override {
    ++ends;
    error = e;
  }

  int starts = 0, ends = 0;
  std::uint32_t cached = 0;
  std::map<std::uint32_t, std::vector<TokenId>> heard;
  std::map<std::uint32_t, FinishReason> finishes;
  std::map<std::uint32_t, double> scores;
  std::optional<Error> error;
};

GenerateJob job(std::uint64_t id, std::uint64_t share) {
  GenerateJob out;
  out.id = {id, 1};
  out.share = {share, share};
  out.choices = 2;
  return out;
}

std::vector<GeneratedToken> tokens(std::initializer_list<TokenId> ids) {
  std::vector<GeneratedToken> out;
  for (const TokenId id : ids) out.push_back({id, -1.0f, {}});
  return out;
}

class SharedDispatcherTest : public ::testing::Test {
 protected:
  SharedDispatcherTest() { inner_.set_manual(); }
  std::shared_ptr<Listener> listen(std::uint64_t id, std::uint64_t share) {
    auto listener = std::make_shared<Listener>();
    EXPECT_TRUE(shared_.start(job(id, share), listener));
    return listener;
  }
  FakeDispatcher inner_;
  SharedDispatcher shared_{inner_};
};

TEST_F(SharedDispatcherTest, WhoComesLaterHearsEverythingAndItIsComputedOnce) {
  const auto first = listen(1, 7);
  const OpenJob open = inner_.next_job();
  open.sink->on_start({5, {}});
  open.sink->on_tokens(0, tokens({10, 11}), FinishReason::none);
  open.sink->on_score(1, -0.5);
  open.sink->on_tokens(1, tokens({20}), FinishReason::stop);
  const auto second = listen(2, 7);
  EXPECT_EQ(second->starts, 1);
  EXPECT_EQ(second->cached, 5u);
  open.sink->on_tokens(0, tokens({12}), FinishReason::length);
  open.sink->on_done();
  for (const auto& listener : {first, second}) {
    EXPECT_EQ(listener->heard[0], (std::vector<TokenId>{10, 11, 12}));
    EXPECT_EQ(listener->heard[1], (std::vector<TokenId>{20}));
    EXPECT_EQ(listener->finishes[0], FinishReason::length);
    EXPECT_EQ(listener->finishes[1], FinishReason::stop);
    EXPECT_EQ(listener->scores, (std::map<std::uint32_t, double>{{1, -0.5}}));
    EXPECT_EQ(listener->ends, 1);
  }
  EXPECT_EQ(inner_.seen().size(), 1u);
}

TEST_F(SharedDispatcherTest, AfterTheEndItIsComputedAgain) {
  (void)listen(1, 7);
  const OpenJob open = inner_.next_job();
  open.sink->on_start({0, {}});
  open.sink->on_done();
  (void)listen(2, 7);
  EXPECT_EQ(inner_.seen().size(), 2u);
}

TEST_F(SharedDispatcherTest, OnlyTheLastOnesCancelIsOne) {
  const auto first = listen(1, 7);
  const OpenJob open = inner_.next_job();
  const auto second = listen(2, 7);
  shared_.cancel({1, 1});
  EXPECT_EQ(inner_.cancels(), 0u);
  open.sink->on_start({0, {}});
  EXPECT_EQ(first->starts, 0);
  EXPECT_EQ(second->starts, 1);
  shared_.cancel({2, 1});
  EXPECT_EQ(inner_.cancels(), 1u);
  (void)listen(3, 7);
  EXPECT_EQ(inner_.seen().size(), 2u);
}

TEST_F(SharedDispatcherTest, JobsWithoutAShareAreTheirOwn) {
  GenerateJob alone = job(1, 0);
  alone.share = {};
  EXPECT_TRUE(shared_.start(alone, std::make_shared<Listener>()));
  EXPECT_TRUE(shared_.start(alone, std::make_shared<Listener>()));
  EXPECT_EQ(inner_.seen().size(), 2u);
  shared_.cancel(alone.id);
  EXPECT_EQ(inner_.cancels(), 1u);
}

TEST_F(SharedDispatcherTest, ARefusedStartLeavesNothingBehind) {
  inner_.set_script([](const GenerateJob&) {
    ScriptedAnswer answer;
    answer.error_at_start = Error{Errc::queue_full, "full"};
    return answer;
  });
  EXPECT_FALSE(shared_.start(job(1, 7), std::make_shared<Listener>()));
  inner_.set_manual();
  (void)listen(2, 7);
  EXPECT_TRUE(inner_.next_job().sink);
}

TEST_F(SharedDispatcherTest, AnErrorReachesEveryListener) {
  const auto first = listen(1, 7);
  const auto second = listen(2, 7);
  inner_.next_job().sink->on_error({Errc::peer_lost, "gone"});
  ASSERT_TRUE(first->error && second->error);
  EXPECT_EQ(second->error->code, Errc::peer_lost);
}

}  // namespace
}  // namespace troupe::test
