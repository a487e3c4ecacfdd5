#include <gtest/gtest.h>

#include <optional>

#include "common/speculation/drafters/drafters.hpp"
#include "tests/common/speculation/drafters/script_source.hpp"

namespace troupe::speculation {
namespace {

using Tokens = std::vector<TokenId>;

struct Rig {
  std::shared_ptr<ScriptSource> source = std::make_shared<ScriptSource>();
  std::unique_ptr<Drafter> drafter = make_draft_service({.vocab = 1000, .source = source});
  Tokens text = {1, 2, 3};

  DraftContext context(std::uint64_t sequence = 5) const { return {SequenceNumber{sequence}, "t", text, 3}; }
  /// Tokens of the proposed chain; runners-up aside.
  Tokens chain(std::uint32_t most = 8) {
    Tokens tokens;
    std::int32_t parent = DraftTree::kRoot;
    const DraftTree draft = drafter->propose(context(), {most, most});
    for (std::size_t i = 0; i < draft.nodes.size(); ++i)
      if (draft.nodes[i].parent == parent) {
        if (parent != static_cast<std::int32_t>(i) - 1) continue;  // a sibling of the one before
        tokens.push_back(draft.nodes[i].token);
        parent = static_cast<std::int32_t>(i);
      }
    return tokens;
  }
  void emit(const Tokens& tokens) { text.insert(text.end(), tokens.begin(), tokens.end()); }
};

TEST(DraftServiceDrafter, OrdersInOneStepAndDraftsInALaterOne) {
  Rig rig;
  EXPECT_TRUE(rig.chain().empty());
  ASSERT_EQ(rig.source->orders.size(), 1u);
  const DraftOrder& order = rig.source->orders[0];
  EXPECT_EQ(order.held, 0u);
  EXPECT_EQ(order.tokens, rig.text);
  EXPECT_GE(order.wanted, 3u);
  rig.source->draft({10, 11, 12, 13});
  EXPECT_EQ(rig.chain(), (Tokens{10, 11, 12, 13}));
  EXPECT_EQ(rig.source->orders.size(), 1u) << "enough lies ready";
}

TEST(DraftServiceDrafter, WhatTheTargetDrewMeanwhileIsTakenFromTheGuesses) {
  Rig rig;
  (void)rig.chain();
  rig.emit({10, 11});
  EXPECT_TRUE(rig.chain().empty()) << "nothing has come";
  EXPECT_EQ(rig.source->orders.size(), 1u) << "one order at a time";
  rig.emit({12});
  rig.source->draft({10, 11, 12, 13, 14});
  EXPECT_EQ(rig.chain(), (Tokens{13, 14}));
}

TEST(DraftServiceDrafter, AGuessThatTheTargetDidNotDrawEndsAllThatFollowsIt) {
  Rig rig;
  (void)rig.chain();
  rig.emit({10, 99});
  rig.source->draft({10, 11, 12, 13});
  EXPECT_TRUE(rig.chain().empty());
  ASSERT_EQ(rig.source->orders.size(), 2u);
  const DraftOrder& next = rig.source->orders[1];
  EXPECT_EQ(next.held, 4u) << "the text it was told, and the guess that was right";
  EXPECT_EQ(next.held_hash, text_hash(std::span<const TokenId>(rig.text).first(4)));
  EXPECT_EQ(next.tokens, (Tokens{99}));
}

TEST(DraftServiceDrafter, DraftsOnWhileItsGuessesAreVerified) {
  Rig rig;
  (void)rig.chain();
  rig.source->draft({10, 11, 12, 13, 14});
  ASSERT_EQ(rig.chain().size(), 5u);
  rig.emit({10, 11, 12, 13});
  EXPECT_EQ(rig.chain(), (Tokens{14})) << "one was not verified in that step";
  ASSERT_EQ(rig.source->orders.size(), 2u);
  const DraftOrder& next = rig.source->orders[1];
  EXPECT_EQ(next.held, rig.text.size() + 1)
      << "as if the last guess came true, which the source has made itself";
  EXPECT_TRUE(next.tokens.empty());
  rig.source->draft({15, 16, 17});
  rig.emit({14});
  EXPECT_EQ(rig.chain(), (Tokens{15, 16, 17}));
}

TEST(DraftServiceDrafter, AnAnswerToAnEarlierRoundIsNeverApplied) {
  Rig rig;
  (void)rig.chain();
  rig.source->draft({10, 11, 12, 13});
  const DraftAnswer late = rig.source->answers.begin()->second;
  rig.source->answers.clear();
  rig.emit({99});
  (void)rig.chain();  // nothing is known to be wrong yet: the order stands
  rig.source->draft({10, 11});
  (void)rig.chain();  // wrong from the start: ordered again
  ASSERT_EQ(rig.source->orders.size(), 2u);
  rig.source->answers[SequenceNumber{5}] = late;
  EXPECT_TRUE(rig.chain().empty());
  rig.source->draft({20, 21});
  EXPECT_EQ(rig.chain(), (Tokens{20, 21}));
}

TEST(DraftServiceDrafter, ALostSessionIsToldTheWholeText) {
  Rig rig;
  (void)rig.chain();
  rig.source->draft({10, 11, 12, 13});
  (void)rig.chain();
  rig.emit({10, 11, 12, 13, 14});
  (void)rig.chain();
  ASSERT_EQ(rig.source->orders.size(), 2u);
  EXPECT_EQ(rig.source->orders[1].held, 7u);
  rig.source->say(DraftAnswer::Kind::lost);
  (void)rig.chain();
  ASSERT_EQ(rig.source->orders.size(), 3u);
  EXPECT_EQ(rig.source->orders[2].held, 0u);
  EXPECT_EQ(rig.source->orders[2].tokens, rig.text);
}

TEST(DraftServiceDrafter, RunsFurtherAheadTheLongerItIsRight) {
  Rig rig;
  TokenId next = 10;
  // Answers orders with `token`, or with ever new ones, until no more come; what then lies ahead of the text.
  const auto fill = [&](std::optional<TokenId> token) {
    Tokens chain = rig.chain(64);
    for (std::size_t answered = 0; answered < rig.source->orders.size();) {
      answered = rig.source->orders.size();
      Tokens guesses;
      for (std::uint32_t i = 0; i < rig.source->orders.back().wanted; ++i)
        guesses.push_back(token.value_or(next++));
      EXPECT_LE(guesses.size(), 8u) << "the first guesses wait for the last";
      rig.source->draft(guesses);
      chain = rig.chain(64);
    }
    return chain;
  };
  const std::size_t first = fill({}).size();
  std::size_t longest = 0;
  for (int round = 0; round < 12; ++round) {
    const Tokens chain = fill({});
    longest = std::max(longest, chain.size());
    rig.emit(chain);
  }
  EXPECT_GT(longest, 2 * first);
  EXPECT_LE(longest, 32u);
  for (int round = 0; round < 8; ++round) {  // and turns back when it is wrong
    (void)fill(900);
    rig.emit({500});
  }
  EXPECT_LT(fill(900).size(), longest / 2);
}

TEST(DraftServiceDrafter, OrdersRarelyWhereNothingEverComesTrue) {
  Rig rig;
  for (int i = 0; i < 400; ++i) {
    (void)rig.chain();
    if (!rig.source->orders.empty()) rig.source->draft({900});
    rig.emit({500});
  }
  EXPECT_LT(rig.source->orders.size(), 40u);
  EXPECT_GT(rig.source->orders.size(), 8u) << "it must find out when that changes";
}

TEST(DraftServiceDrafter, AClosedOrRefusingSourceIsAskedAgainLater) {
  Rig rig;
  rig.source->open = false;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(rig.chain().empty());
  rig.source->open = true;
  for (int i = 0; i < 20; ++i) (void)rig.chain();
  ASSERT_EQ(rig.source->orders.size(), 1u);
  for (int i = 0; i < 300; ++i) {
    rig.source->say(DraftAnswer::Kind::refused);
    (void)rig.chain();
  }
  EXPECT_LT(rig.source->orders.size(), 12u);
  EXPECT_GT(rig.source->orders.size(), 3u);
}

TEST(DraftServiceDrafter, AnAnswerThatNeverComesIsGivenUp) {
  Rig rig;
  for (int i = 0; i < 600; ++i) {
    (void)rig.chain();
    rig.emit({7});
  }
  EXPECT_GE(rig.source->orders.size(), 2u);
  EXPECT_LE(rig.source->orders.size(), 4u);
}

TEST(DraftServiceDrafter, RunnersUpRideAlongWhereTheyAreLikely) {
  Rig rig;
  (void)rig.chain();
  const DraftOrder& order = rig.source->orders.back();
  rig.source->answers[order.sequence] = {
      order.round, DraftAnswer::Kind::drafted, 3, {{10, 0.6F, 20, 0.3F}, {11, 0.9F, 21, 0.05F}}};
  const DraftTree draft = rig.drafter->propose(rig.context(), {8, 8});
  ASSERT_EQ(draft.size(), 3u);
  EXPECT_EQ(draft.child(DraftTree::kRoot, 20), 1);
  EXPECT_EQ(draft.child(draft.child(DraftTree::kRoot, 10), 11), 2);
}

TEST(DraftServiceDrafter, ForgetsAtTheSourceToo) {
  Rig rig;
  (void)rig.chain();
  rig.drafter->observe(rig.context(), {0, {}, true});
  EXPECT_EQ(rig.source->forgotten, std::vector<SequenceNumber>{SequenceNumber{5}});
  rig.drafter->forget(SequenceNumber{5});
  EXPECT_EQ(rig.source->forgotten.size(), 1u);
  (void)rig.chain();
  EXPECT_EQ(rig.source->orders.back().held, 0u) << "it comes back as a stranger";
}

TEST(DraftServiceDrafter, SaysNothingWithoutASource) {
  const auto drafter = make_draft_service({.vocab = 10});
  const Tokens text = {1, 2};
  EXPECT_TRUE(drafter->propose({SequenceNumber{1}, "t", text, 2}, {8, 8}).empty());
  drafter->forget(SequenceNumber{1});
}

}  // namespace
}  // namespace troupe::speculation
