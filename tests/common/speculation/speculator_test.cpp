#include "common/speculation/speculator.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::speculation {
namespace {

/// Guesses the token 1; `right` texts go on with it.
class OneGuess final : public Drafter {
 public:
  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    known().insert(context.sequence);
    DraftTree tree;
    std::int32_t parent = DraftTree::kRoot;
    for (std::uint32_t i = 0; i < budget.nodes; ++i) parent = tree.add(1, parent, 0.7F);
    return tree;
  }
  void observe(const DraftContext&, const Observation&) override {}
  void fork(SequenceNumber, SequenceNumber to) override { known().insert(to); }
  void forget(SequenceNumber sequence) override { known().erase(sequence); }
  static std::set<SequenceNumber>& known() {
    static std::set<SequenceNumber> sequences;
    return sequences;
  }
};

const std::vector<DrafterEntry>& one_guess() {
  static const std::vector<DrafterEntry> kTable = {
      {"one", "", "", TechniqueClass::exact, "", "", false,
       [](const DrafterOptions&) -> std::unique_ptr<Drafter> { return std::make_unique<OneGuess>(); }}};
  return kTable;
}

struct Rig {
  explicit Rig(SpeculationOptions options = {}) : speculator(with_table(options), {.vocab = 100}) {}
  static SpeculationOptions with_table(SpeculationOptions options) {
    options.table = &one_guess();
    options.drafter = "one";
    return options;
  }
  /// A step of one stream in which the target's next tokens are `next`; returns the rows that were drafted.
  std::uint32_t step(std::span<const TokenId> next, const StepSeconds& seconds) {
    const Stream stream{{SequenceNumber{4}, "t", text, 1}, "", 8};
    const std::vector<DraftTree> drafts = speculator.plan({&stream, 1}, seconds, 64);
    Verification verification(drafts[0]);
    std::uint32_t emitted = 0;
    while (verification.next_row()) {
      text.push_back(next[emitted]);
      verification.drew(next[emitted++]);
    }
    speculator.observe({SequenceNumber{4}, "t", text, 1}, {emitted, {}, false},
                       drafts[0].empty() ? nullptr : &verification);
    return drafts[0].size();
  }
  Speculator speculator;
  std::vector<TokenId> text = {0, 0};
};

const StepSeconds kCheap = [](std::uint32_t extra) { return 5.0 + 0.5 * extra; };
const std::vector<TokenId> kRight(9, 1), kWrong(9, 2);

TEST(Speculator, StopsDraftingWhatIsWrongAndComesBackWhenItIsRightAgain) {
  Rig rig;
  EXPECT_GT(rig.step(kRight, kCheap), 0u);
  for (int i = 0; i < 30; ++i) (void)rig.step(kWrong, kCheap);
  const std::uint64_t wasted = rig.speculator.counters()[0].proposed;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rig.step(kWrong, kCheap), 0u);
  EXPECT_EQ(rig.speculator.counters()[0].proposed, wasted)
      << "rows are spent on guesses that never come true";
  std::uint32_t steps = 0;
  while (rig.step(kRight, kCheap) == 0) ASSERT_LT(++steps, 40u) << "what was not verified is not learnt from";
  for (int i = 0; i < 40; ++i) (void)rig.step(kRight, kCheap);
  EXPECT_EQ(rig.step(kRight, kCheap), 8u);
}

TEST(Speculator, AsksNobodyWhereNoDraftCouldPay) {
  OneGuess::known().clear();
  Rig rig;
  EXPECT_EQ(rig.step(kRight, [](std::uint32_t extra) { return 1.0 + extra; }), 0u);
  EXPECT_TRUE(OneGuess::known().empty());
  EXPECT_EQ(rig.step(kRight, {}), 0u) << "nothing is known about step times";
  EXPECT_TRUE(OneGuess::known().empty());
}

TEST(Speculator, CountsByPosition) {
  SpeculationOptions always;
  always.always = true;
  always.most_draft = 4;
  Rig rig(always);
  EXPECT_EQ(rig.step(std::vector<TokenId>{1, 1, 2}, kCheap), 4u);
  const DraftCounters& counters = rig.speculator.counters()[0];
  EXPECT_EQ(counters.steps, 1u);
  EXPECT_EQ(counters.proposed, 4u);
  EXPECT_EQ(counters.accepted, 2u);
  EXPECT_EQ(counters.proposed_at[3], 1u);
  EXPECT_EQ(counters.accepted_at[1], 1u);
  EXPECT_EQ(counters.accepted_at[2], 0u);
}

TEST(Speculator, ForgetsAndForks) {
  OneGuess::known().clear();
  Rig rig;
  (void)rig.step(kRight, kCheap);
  rig.speculator.fork(SequenceNumber{4}, SequenceNumber{5});
  EXPECT_TRUE(OneGuess::known().contains(SequenceNumber{5}));
  rig.speculator.forget(SequenceNumber{4});
  EXPECT_FALSE(OneGuess::known().contains(SequenceNumber{4}));
}

TEST(Speculator, KnowsWhoIsAskedFor) {
  Rig rig;
  EXPECT_TRUE(rig.speculator.drafts_for(""));
  EXPECT_TRUE(rig.speculator.drafts_for("auto"));
  EXPECT_FALSE(rig.speculator.drafts_for("off"));
  const std::vector<TokenId> expected = {1};
  EXPECT_TRUE(rig.speculator.drafts_for("off", expected)) << "an answer of a given form";
  EXPECT_TRUE(check_drafter("one", one_guess()).has_value());
  const auto unknown = check_drafter("two", one_guess());
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, Errc::invalid_argument);
  EXPECT_NE(unknown.error().detail.find("off, auto, one"), std::string::npos);
}

TEST(Acceptance, LearnsEachConfidenceByItselfAndForgets) {
  Acceptance acceptance(0.9);
  EXPECT_DOUBLE_EQ(acceptance.estimate(0.5F, 0.5), 0.5);
  for (int i = 0; i < 100; ++i) acceptance.saw(0.9F, true), acceptance.saw(0.2F, false);
  EXPECT_GT(acceptance.estimate(0.9F, 0.5), 0.8);
  EXPECT_LT(acceptance.estimate(0.2F, 0.5), 0.2);
  EXPECT_DOUBLE_EQ(acceptance.estimate(0.5F, 0.5), 0.5);
  for (int i = 0; i < 30; ++i) acceptance.saw(0.9F, false);
  EXPECT_LT(acceptance.estimate(0.9F, 0.5), 0.2);
}

}  // namespace
}  // namespace troupe::speculation
