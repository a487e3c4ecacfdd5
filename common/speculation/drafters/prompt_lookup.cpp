// Prompt lookup: the last tokens stood somewhere before, in the prompt or the answer; what followed there may
// follow here [Saxena 2023, "Prompt Lookup Decoding"; LLMA, Yang et al. 2023, arXiv:2304.04487]. Of the
// latest occurrences of the last two tokens, the one that agrees furthest back is copied.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {

void copy_on(std::span<const TokenId> text, std::size_t end, std::uint32_t match, const DraftBudget& budget,
             DraftTree& draft) {
  std::int32_t parent = DraftTree::kRoot;
  const std::uint32_t most = std::min(budget.nodes, budget.depth);
  for (std::uint32_t i = 0; i < most; ++i) {
    const std::size_t at = end + 1 + i;
    const TokenId token = at < text.size() ? text[at] : draft.nodes[at - text.size()].token;
    parent = draft.add(token, parent, match_confidence(match + i));
  }
}

namespace {

constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::uint32_t kLeast = 2;         ///< tokens that must agree
constexpr std::uint32_t kFarthest = 32;     ///< tokens looked back to compare occurrences
constexpr std::uint32_t kOccurrences = 16;  ///< the latest, compared

/// Where each pair of neighbouring tokens ended, latest first.
class PairIndex {
 public:
  /// Takes in pairs that end before the text's last token: the last pair must not find itself.
  void grow(std::span<const TokenId> text) {
    for (auto end = static_cast<std::uint32_t>(previous_.size()); end + 1 < text.size(); ++end) {
      if (end == 0) {
        previous_.push_back(kNone);
        continue;
      }
      const auto [latest, fresh] = latest_.try_emplace(key(text, end), end);
      previous_.push_back(fresh ? kNone : std::exchange(latest->second, end));
    }
  }
  struct Match {
    std::uint32_t end = kNone;
    std::uint32_t length = 0;
  };
  /// The occurrence of the text's end that agrees furthest back; of equals the latest.
  [[nodiscard]] Match find(std::span<const TokenId> text) const {
    Match best;
    if (text.size() < kLeast) return best;
    const auto last = static_cast<std::uint32_t>(text.size() - 1);
    const auto found = latest_.find(key(text, last));
    std::uint32_t at = found == latest_.end() ? kNone : found->second;
    for (std::uint32_t i = 0; i < kOccurrences && at != kNone && best.length < kFarthest;
         ++i, at = previous_[at]) {
      std::uint32_t length = kLeast;
      while (length < kFarthest && length <= at && text[at - length] == text[last - length]) ++length;
      if (length > best.length) best = {at, length};
    }
    return best;
  }

 private:
  static std::uint64_t key(std::span<const TokenId> text, std::uint32_t end) {
    return std::uint64_t{static_cast<std::uint32_t>(text[end - 1])} << 32 |
           static_cast<std::uint32_t>(text[end]);
  }
  std::unordered_map<std::uint64_t, std::uint32_t> latest_;
  std::vector<std::uint32_t> previous_;  // [end]
};

class PromptLookup final : public Drafter {
 public:
  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    PairIndex& index = indices_[context.sequence];
    index.grow(context.tokens);
    DraftTree draft;
    const PairIndex::Match match = index.find(context.tokens);
    if (match.end != kNone) copy_on(context.tokens, match.end, match.length, budget, draft);
    return draft;
  }
  void observe(const DraftContext& context, const Observation& observation) override {
    (void)context, (void)observation;
  }
  void fork(SequenceNumber from, SequenceNumber to) override {
    if (const auto found = indices_.find(from); found != indices_.end()) indices_[to] = found->second;
  }
  void forget(SequenceNumber sequence) override { indices_.erase(sequence); }

 private:
  std::map<SequenceNumber, PairIndex> indices_;
};

}  // namespace

std::unique_ptr<Drafter> make_prompt_lookup(const DrafterOptions& options) {
  (void)options;
  return std::make_unique<PromptLookup>();
}

}  // namespace troupe::speculation
