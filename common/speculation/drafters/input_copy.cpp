// Input-guided Aggressive Decoding: the answer is taken for a copy of the prompt with edits, and the prompt's
// continuation is drafted. Where the copy breaks off, it is taken up again behind the only place of the
// prompt where the last tokens stand [Ge et al. 2022, "Lossless Acceleration for Seq2seq Generation with
// Aggressive Decoding", arXiv:2205.10350, IAD]. Departs from the paper: the prompt is no source sentence, so
// nothing is drafted before the first agreement, and drafts start short and double while they are accepted
// whole, because here a rejected row costs time. Where the client says what
// it thinks the answer to be (DraftContext::reference) that is the source, and it is drafted from the first
// token on.
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {
namespace {

constexpr std::uint32_t kLongest = 3;  ///< tokens that tell places apart
constexpr std::uint32_t kFirstBlock = 4;
constexpr std::uint32_t kMostAgreed = 32;
constexpr std::uint32_t kTrusted =
    4;  ///< a reference's beginning is worth as much as so many tokens that agreed

/// Where each run of 1 to 3 tokens ends in the prompt, if it stands there once.
class Places {
 public:
  void make(std::span<const TokenId> source) {
    for (std::uint32_t length = 1; length <= kLongest; ++length)
      for (std::uint32_t end = length - 1; end < source.size(); ++end) {
        const auto [at, fresh] = ends_.try_emplace(key(source, end, length), end);
        if (!fresh) at->second = kSeveral;
      }
  }
  static constexpr std::uint32_t kNowhere = UINT32_MAX, kSeveral = UINT32_MAX - 1;
  /// Of the last `length` tokens of `text`.
  [[nodiscard]] std::uint32_t of(std::span<const TokenId> text, std::uint32_t length) const {
    const auto found = ends_.find(key(text, static_cast<std::uint32_t>(text.size()) - 1, length));
    return found == ends_.end() ? kNowhere : found->second;
  }

 private:
  /// A mix of the tokens: two runs of one key would cost a wrong guess.
  static std::uint64_t key(std::span<const TokenId> text, std::uint32_t end, std::uint32_t length) {
    std::uint64_t key = length;
    for (std::uint32_t i = 0; i < length; ++i)
      key = (key ^ static_cast<std::uint32_t>(text[end - i])) * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u;
    return key;
  }
  std::unordered_map<std::uint64_t, std::uint32_t> ends_;
};

class InputCopy final : public Drafter {
 public:
  explicit InputCopy(const DrafterOptions& options) : separators_(options.separators) {
    std::sort(separators_.begin(), separators_.end());
  }

  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    Copy& copy = follow(context);
    DraftTree draft;
    if (!copy.at) return draft;
    const std::span<const TokenId> source = source_of(context);
    const std::uint32_t most = std::min({budget.nodes, budget.depth, copy.block});
    std::int32_t parent = DraftTree::kRoot;
    for (std::uint32_t i = *copy.at; i < source.size() && draft.size() < most; ++i) {
      if (std::binary_search(separators_.begin(), separators_.end(), source[i])) break;
      parent = draft.add(source[i], parent, match_confidence(copy.agreed + draft.size()));
    }
    copy.drafted = draft.size();
    return draft;
  }
  void observe(const DraftContext& context, const Observation& observation) override {
    (void)context, (void)observation;
  }
  void fork(SequenceNumber from, SequenceNumber to) override {
    if (const auto found = copies_.find(from); found != copies_.end()) copies_[to] = found->second;
  }
  void forget(SequenceNumber sequence) override { copies_.erase(sequence); }

 private:
  struct Copy {
    Places places;
    std::uint32_t seen = 0;           ///< tokens of the context looked at; 0: none yet
    std::optional<std::uint32_t> at;  ///< token of the source that comes next
    std::uint32_t agreed = 0;         ///< tokens that were copied before it
    std::uint32_t block = kFirstBlock, drafted = 0;
  };

  static std::span<const TokenId> source_of(const DraftContext& context) {
    return context.reference.empty() ? context.tokens.first(context.prompt) : context.reference;
  }

  /// Goes along with what was emitted since, or looks for a place to begin.
  Copy& follow(const DraftContext& context) {
    Copy& copy = copies_[context.sequence];
    const std::span<const TokenId> source = source_of(context);
    if (copy.seen == 0) {
      copy.places.make(source);
      copy.seen = context.prompt;
      if (!context.reference.empty()) copy.at = 0, copy.agreed = kTrusted;
    }
    std::uint32_t right = 0;
    for (; copy.seen < context.tokens.size(); ++copy.seen) {
      if (!copy.at) continue;
      if (*copy.at < source.size() && source[*copy.at] == context.tokens[copy.seen]) {
        *copy.at += 1;
        copy.agreed = std::min(copy.agreed + 1, kMostAgreed);
        ++right;
      } else {
        copy.at.reset();
      }
    }
    if (copy.drafted > 0)
      copy.block = copy.at && right > copy.drafted ? std::min(copy.block * 2, 1u << 16)
                   : copy.at                       ? copy.block
                                                   : kFirstBlock;
    copy.drafted = 0;
    if (!copy.at) begin(context, source, copy);
    return copy;
  }
  static void begin(const DraftContext& context, std::span<const TokenId> source, Copy& copy) {
    const auto answer = static_cast<std::uint32_t>(context.tokens.size()) - context.prompt;
    for (std::uint32_t length = 1; length <= std::min(kLongest, answer); ++length) {
      const std::uint32_t end = copy.places.of(context.tokens, length);
      if (end == Places::kNowhere) return;
      if (end == Places::kSeveral) continue;
      copy.at = end + 1;
      copy.agreed = 0;
      const std::size_t last = context.tokens.size() - 1;
      while (copy.agreed < std::min(answer, kMostAgreed) && copy.agreed <= end &&
             source[end - copy.agreed] == context.tokens[last - copy.agreed])
        ++copy.agreed;
      return;
    }
  }

  std::vector<TokenId> separators_;
  std::map<SequenceNumber, Copy> copies_;
};

}  // namespace

std::unique_ptr<Drafter> make_input_copy(const DrafterOptions& options) {
  return std::make_unique<InputCopy>(options);
}

}  // namespace troupe::speculation
