// What every drafter of the table keeps, whatever its method.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "common/speculation/drafter.hpp"
#include "tests/common/speculation/drafters/script_source.hpp"

namespace troupe::speculation {
namespace {

constexpr std::uint32_t kVocab = 40;  // small: everything repeats

class DrafterConformance : public ::testing::TestWithParam<DrafterEntry> {
 protected:
  std::unique_ptr<Drafter> make() const {
    return GetParam().make({.vocab = kVocab,
                            .store_tokens = 400,
                            .most_tenants = 3,
                            .separators = {},
                            .source = std::make_shared<CountingSource>(kVocab)});
  }
};

struct Text {
  SequenceNumber sequence;
  std::string tenant;
  std::vector<TokenId> tokens;
  std::uint32_t prompt;
  std::vector<TokenId> expected = {};
  DraftContext context() const { return {sequence, tenant, tokens, prompt, expected}; }
};

Text drawn(std::mt19937_64& random, std::uint64_t number) {
  Text text{
      {number}, "tenant " + std::to_string(random() % 5), {}, static_cast<std::uint32_t>(1 + random() % 60)};
  for (std::uint32_t i = 0; i < text.prompt; ++i)
    text.tokens.push_back(static_cast<TokenId>(random() % kVocab));
  return text;
}

RankedRow ranked(std::mt19937_64& random, TokenId token) {
  RankedRow row{token, static_cast<std::uint32_t>(random() % (kMostBest + 1)), {}};
  for (TokenId& one : row.best) one = static_cast<TokenId>(random() % kVocab);
  return row;
}

/// One step of a stream: a guess, some tokens, an observation.
void step(Drafter& drafter, Text& text, std::mt19937_64& random, bool finished) {
  const std::uint32_t emitted = 1 + static_cast<std::uint32_t>(random() % 4);
  std::vector<RankedRow> rows;
  for (std::uint32_t i = 0; i < emitted; ++i) {
    rows.push_back(ranked(random, text.tokens.back()));
    text.tokens.push_back(static_cast<TokenId>(random() % kVocab));
  }
  text.expected.assign(text.tokens.rbegin(), text.tokens.rbegin() + emitted);
  drafter.observe(text.context(), {emitted, rows, finished});
}

TEST_P(DrafterConformance, StaysWithinItsBudgetAndTheVocabulary) {
  const auto drafter = make();
  std::mt19937_64 random(4);
  std::size_t guessed = 0;
  for (std::uint64_t number = 1; number <= 40; ++number) {
    Text text = drawn(random, number);
    for (int i = 0; i < 40; ++i) {
      step(*drafter, text, random, i == 39);
      const DraftBudget budget{static_cast<std::uint32_t>(random() % 20),
                               static_cast<std::uint32_t>(random() % 8)};
      const DraftTree draft = drafter->propose(text.context(), budget);
      EXPECT_LE(draft.size(), budget.nodes);
      EXPECT_EQ(usable(draft, kVocab, budget.nodes, budget.depth).size(), draft.size())
          << "a node that is of no use";
      guessed += draft.size();
    }
    drafter->forget(text.sequence);
  }
  EXPECT_GT(guessed, 100u);
}

TEST_P(DrafterConformance, AForkGuessesWhatItsOriginalGuesses) {
  const auto drafter = make();
  std::mt19937_64 random(5);
  Text one = drawn(random, 1);
  for (int i = 0; i < 30; ++i) {
    step(*drafter, one, random, false);
    (void)drafter->propose(one.context(), {8, 8});
  }
  drafter->fork({1}, {2});
  Text two = one;
  two.sequence = {2};
  const DraftTree a = drafter->propose(one.context(), {8, 8}), b = drafter->propose(two.context(), {8, 8});
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.nodes.size(); ++i) EXPECT_EQ(a.nodes[i].token, b.nodes[i].token);
}

TEST_P(DrafterConformance, ForgettingWhatIsUnknownOrTwiceIsNothing) {
  const auto drafter = make();
  std::mt19937_64 random(6);
  Text text = drawn(random, 3);
  (void)drafter->propose(text.context(), {8, 8});
  drafter->forget({3});
  drafter->forget({3});
  drafter->forget({77});
  drafter->fork({77}, {78});
  for (int i = 0; i < 10; ++i) step(*drafter, text, random, false);
  EXPECT_LE(drafter->propose(text.context(), {8, 8}).size(), 8u)
      << "it comes back with more tokens than it left with";
}

TEST(Drafters, RowsAreWholeAndNamesUnique) {
  std::set<std::string_view> names = {"off", "auto"};
  for (const DrafterEntry& entry : builtin_drafters()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    for (const std::string_view field : {entry.summary, entry.source, entry.needs, entry.cost})
      EXPECT_FALSE(field.empty()) << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Builtin, DrafterConformance, ::testing::ValuesIn(builtin_drafters()),
                         [](const auto& instance) {
                           std::string name(instance.param.name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace troupe::speculation
