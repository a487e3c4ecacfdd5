#pragma once
// Drafters for tests of the engine: one that knows the answers, one that knows nothing and keeps no rule.
#include <algorithm>
#include <random>
#include <utility>

#include "common/speculation/drafter.hpp"
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {

/// What the knowing drafter knows: prompts with their answers. One test at a time.
inline std::vector<std::vector<TokenId>>& known_texts() {
  static std::vector<std::vector<TokenId>> texts;
  return texts;
}

inline void teach(const std::vector<Request>& requests, const Answers& answers) {
  known_texts().clear();
  for (const Request& request : requests) {
    for (std::uint32_t choice = 0; choice < request.choices; ++choice) {
      std::vector<TokenId> text = request.prompt;
      for (const GeneratedToken& token : answers.at({request.id, choice}).tokens) text.push_back(token.token);
      known_texts().push_back(std::move(text));
    }
  }
}

/// Right guesses beside wrong ones in trees of every shape: the right chain breaks off, has wrong siblings
/// before and behind it, and wrong children.
class KnowingDrafter final : public speculation::Drafter {
 public:
  explicit KnowingDrafter(const speculation::DrafterOptions& options) : vocab_(options.vocab) {}

  speculation::DraftTree propose(const speculation::DraftContext& context,
                                 const speculation::DraftBudget& budget) override {
    speculation::DraftTree tree;
    const std::span<const TokenId> rest = rest_of(context.tokens);
    std::int32_t parent = speculation::DraftTree::kRoot;
    for (std::size_t i = 0; i < rest.size() && tree.size() < budget.nodes && below(8) != 0; ++i) {
      if (below(3) == 0) add_wrong(tree, parent);
      parent = tree.add(rest[i], parent, static_cast<float>(below(100)) / 100);
      if (below(3) == 0) add_wrong(tree, below(2) == 0 ? parent : tree.nodes.back().parent);
    }
    return tree;
  }
  void observe(const speculation::DraftContext&, const speculation::Observation&) override {}
  void fork(speculation::SequenceNumber, speculation::SequenceNumber) override {}
  void forget(speculation::SequenceNumber) override {}

 private:
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  void add_wrong(speculation::DraftTree& tree, std::int32_t parent) {
    const std::int32_t wrong = tree.add(static_cast<TokenId>(below(vocab_)), parent, 0.5F);
    if (below(2) == 0) tree.add(static_cast<TokenId>(below(vocab_)), wrong, 0.5F);
  }
  static std::span<const TokenId> rest_of(std::span<const TokenId> tokens) {
    for (const auto& text : known_texts())
      if (text.size() > tokens.size() && std::equal(tokens.begin(), tokens.end(), text.begin()))
        return std::span(text).subspan(tokens.size());
    return {};
  }
  std::uint32_t vocab_;
  std::mt19937_64 random_{5};
};

/// Ids outside the vocabulary, equal siblings, parents that do not exist, more nodes than asked for.
class HostileDrafter final : public speculation::Drafter {
 public:
  explicit HostileDrafter(const speculation::DrafterOptions& options) : vocab_(options.vocab) {}
  speculation::DraftTree propose(const speculation::DraftContext&,
                                 const speculation::DraftBudget& budget) override {
    speculation::DraftTree tree;
    const auto count = static_cast<std::int32_t>(random_() % (3 * budget.nodes + 1));
    for (std::int32_t i = 0; i < count; ++i) {
      const auto token = static_cast<TokenId>(random_() % (2 * vocab_)) - static_cast<TokenId>(vocab_ / 2);
      tree.add(random_() % 3 == 0 ? 7 : token,
               static_cast<std::int32_t>(random_() % (static_cast<std::uint64_t>(count) + 2)) - 2, 3.5F);
    }
    return tree;
  }
  void observe(const speculation::DraftContext&, const speculation::Observation&) override {}
  void fork(speculation::SequenceNumber, speculation::SequenceNumber) override {}
  void forget(speculation::SequenceNumber) override {}

 private:
  std::uint32_t vocab_;
  std::mt19937_64 random_{6};
};

template <class D>
std::unique_ptr<speculation::Drafter> make_test_drafter(const speculation::DrafterOptions& options) {
  return std::make_unique<D>(options);
}

/// The built-in drafters and those above.
inline const std::vector<speculation::DrafterEntry>& test_drafters() {
  static const std::vector<speculation::DrafterEntry> kTable = [] {
    std::vector<speculation::DrafterEntry> table = speculation::builtin_drafters();
    table.push_back(
        {"knowing", "", "", TechniqueClass::exact, "", "", true, make_test_drafter<KnowingDrafter>});
    table.push_back(
        {"hostile", "", "", TechniqueClass::exact, "", "", false, make_test_drafter<HostileDrafter>});
    return table;
  }();
  return kTable;
}

inline speculation::SpeculationOptions drafts_always(const std::string& drafter, std::uint32_t most = 8) {
  speculation::SpeculationOptions options;
  options.drafter = drafter;
  options.most_draft = most;
  options.always = true;
  options.table = &test_drafters();
  return options;
}

struct DraftTotals {
  std::uint64_t proposed = 0, accepted = 0;
};
inline DraftTotals totals(const Engine& engine) {
  DraftTotals sum;
  for (const auto& one : engine.stats().drafts) sum.proposed += one.proposed, sum.accepted += one.accepted;
  return sum;
}

}  // namespace troupe::engine
