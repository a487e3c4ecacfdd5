#include "common/worker/grammar_desk.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace troupe::worker {
namespace {

using namespace std::chrono_literals;
using grammar::Kind;

std::shared_ptr<const grammar::TokenTrie> letters() {
  std::vector<std::string> texts;
  for (char c = 'a'; c <= 'z'; ++c) texts.emplace_back(1, c);
  return std::make_shared<const grammar::TokenTrie>(std::move(texts));
}

/// What a desk forwarded.
class Engines {
 public:
  std::function<void(std::size_t, Command)> sink() {
    return [this](std::size_t engine, Command command) {
      {
        const std::lock_guard lock(mutex_);
        got_.emplace_back(engine, std::move(command));
      }
      changed_.notify_all();
    };
  }
  /// The first `count` of them.
  std::vector<std::pair<std::size_t, Command>> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 20s, [&] { return got_.size() >= count; }));
    return got_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::size_t, Command>> got_;
};

Command submit(std::uint64_t id, grammar::Source source) {
  Submit command;
  command.request.id = {id, id};
  command.grammar = std::move(source);
  return command;
}

TEST(GrammarDesk, ForwardsACommandWithItsGrammarAndSharesEqualOnes) {
  Engines engines;
  GrammarDesk desk({letters(), letters()}, engines.sink());
  ReserveImport reserve;
  reserve.request.id = {2, 2};
  reserve.tokens = 64;
  reserve.grammar = {Kind::regex, "[a-c]+"};
  Command first = submit(1, {Kind::regex, "[a-c]+"}), second = std::move(reserve), third = submit(3, {Kind::regex, "[a-c]+"});
  EXPECT_TRUE(desk.take(0, first));
  EXPECT_TRUE(desk.take(0, second));
  EXPECT_TRUE(desk.take(1, third));
  const auto got = engines.wait(3);
  const auto one = std::get<Submit>(got[0].second).request.grammar;
  const auto two = std::get<ReserveImport>(got[1].second).request.grammar;
  const auto other = std::get<Submit>(got[2].second).request.grammar;
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one, two);
  EXPECT_EQ(std::get<ReserveImport>(got[1].second).tokens, 64u);
  EXPECT_NE(one, other) << "of another engine";
  EXPECT_EQ(got[2].first, 1u);
}

TEST(GrammarDesk, LeavesAloneWhatBringsNoGrammar) {
  Engines engines;
  GrammarDesk desk({letters()}, engines.sink());
  Command plain = submit(1, {}), list = ListBlocks{}, cancel = CancelRequest{{5, 5}};
  EXPECT_FALSE(desk.take(0, plain));
  EXPECT_FALSE(desk.take(0, list));
  EXPECT_FALSE(desk.take(0, cancel));
  EXPECT_EQ(std::get<Submit>(plain).request.id, (RequestId{1, 1}));
}

TEST(GrammarDesk, MistakesAreRejectedAndSoIsAModelWithoutTexts) {
  Engines engines;
  GrammarDesk desk({letters(), nullptr}, engines.sink());
  Command wrong = submit(1, {Kind::regex, "("}), right = submit(2, {Kind::regex, "a"});
  EXPECT_TRUE(desk.take(0, wrong));
  EXPECT_TRUE(desk.take(1, right));
  const auto got = engines.wait(2);
  EXPECT_EQ(std::get<Reject>(got[0].second).error.code, Errc::invalid_argument);
  EXPECT_EQ(std::get<Reject>(got[1].second).engine_id, (RequestId{2, 2}));
}

TEST(GrammarDesk, ACancelledRequestIsNeverForwarded) {
  Engines engines;
  GrammarDesk desk({letters()}, engines.sink());
  // The first keeps the desk busy while the second is cancelled; the third says that both are behind it.
  Command slow = submit(1, {Kind::regex, "([a-z]{1,40}){1,2000}"}), gone = submit(2, {Kind::regex, "b"}), last = submit(3, {Kind::regex, "c"});
  EXPECT_TRUE(desk.take(0, slow));
  EXPECT_TRUE(desk.take(0, gone));
  Command cancel = CancelRequest{{2, 2}};
  EXPECT_FALSE(desk.take(0, cancel));
  EXPECT_TRUE(desk.take(0, last));
  for (const auto& [engine, command] : engines.wait(2)) {
    if (const auto* sent = std::get_if<Submit>(&command)) {
      EXPECT_NE(sent->request.id, (RequestId{2, 2}));
    }
  }
}

}  // namespace
}  // namespace troupe::worker
