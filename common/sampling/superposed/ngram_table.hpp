#pragma once
// How often what followed what in a text: counts of runs of up to six token ids, in memory that is bounded.
// Superposed Decoding smooths its drafts by it.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe {

/// Counts of a run's continuations, from bigrams to six-grams. Runs are told apart by 64-bit hashes of their
/// tokens, which are the same everywhere. Threads: many readers, or one writer.
class NgramTable {
 public:
  static constexpr std::size_t kLongestContext = 5;
  /// Room for `most_runs` different runs, contexts and contexts with what followed counted apart; of texts
  /// that have more the later ones are left out. Cost: 22 to 43 bytes each, taken as they come.
  explicit NgramTable(std::size_t most_runs);

  /// Counts a text; no run goes on from one text into the next. Cost: O(tokens).
  void add(std::span<const TokenId> text);

  struct Counts {
    std::uint64_t context = 0;   ///< times something followed it
    std::uint64_t together = 0;  ///< times `next` did
  };
  /// [n - 1]: of the last n tokens of `before`; zeros where there are not as many.
  [[nodiscard]] std::array<Counts, kLongestContext> counts(std::span<const TokenId> before,
                                                           TokenId next) const;

  [[nodiscard]] std::size_t runs() const { return runs_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t key = 0;  ///< 0: empty
    std::uint32_t count = 0;
  };
  [[nodiscard]] std::size_t place(std::uint64_t key) const;
  [[nodiscard]] std::uint32_t count(std::uint64_t key) const;
  bool raise(std::uint64_t key);
  void grow();

  std::size_t most_runs_;
  std::size_t runs_ = 0;
  std::vector<Slot> slots_;  // open addressing; a power of two, never full
};

/// Sum over n of weight[n] * P(next | last n tokens), the counts of all tables taken together; contexts
/// nobody saw add nothing, and weights are not made up for that. Weights are the paper's: .01 for bigrams,
/// .04, .15, .18, .12 for six-grams. Threads: any.
[[nodiscard]] double ngram_score(std::span<const NgramTable* const> tables, std::span<const TokenId> before,
                                 TokenId next);

}  // namespace troupe
