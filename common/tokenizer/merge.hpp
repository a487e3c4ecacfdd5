#pragma once
// The merge loop that byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909) and SentencePiece's BPE
// (Kudo and Richardson 2018, arXiv 1808.06226) share: of all neighbours that may join, the pair of lowest
// priority joins first, the leftmost among equals. Short words rescan an array, long ones use a heap over a
// linked list; both give the same.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <tuple>
#include <vector>

#include "common/tokenizer/flat_maps.hpp"

namespace troupe {

/// A stretch of the word. `id` is -1 for a character the vocabulary does not know, which joins nothing by id.
struct Symbol {
  std::uint32_t begin = 0;
  std::uint32_t length = 0;
  std::int32_t id = -1;
};

/// Buffers reused from word to word within one call.
struct MergeScratch {
  struct Candidate {
    std::uint32_t priority, left, right, length;
    std::int32_t id;
    bool operator>(const Candidate& other) const {
      return std::tie(priority, left) > std::tie(other.priority, other.left);
    }
  };
  struct Links {
    std::uint32_t previous, next;
  };
  std::vector<Symbol> symbols;
  std::vector<Merge> pairs;
  std::vector<Candidate> heap;
  std::vector<Links> links;
};

inline constexpr std::size_t kShortWordSymbols = 40;

/// Cost: O(n^2) with a small constant.
template <class Lookup>
void merge_by_rescanning(MergeScratch& scratch, const Lookup& lookup) {
  auto& symbols = scratch.symbols;
  auto& pairs = scratch.pairs;
  pairs.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) pairs.push_back(lookup(symbols[i], symbols[i + 1]));
  while (!pairs.empty()) {
    const auto best = std::min_element(
        pairs.begin(), pairs.end(), [](const Merge& a, const Merge& b) { return a.priority < b.priority; });
    if (best->id < 0) return;
    const auto at = static_cast<std::size_t>(best - pairs.begin());
    symbols[at].length += symbols[at + 1].length;
    symbols[at].id = best->id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    pairs.erase(best);
    if (at > 0) pairs[at - 1] = lookup(symbols[at - 1], symbols[at]);
    if (at < pairs.size()) pairs[at] = lookup(symbols[at], symbols[at + 1]);
  }
}

/// Cost: O(n log n).
template <class Lookup>
void merge_by_heap(MergeScratch& scratch, const Lookup& lookup) {
  constexpr std::uint32_t kNone = UINT32_MAX;
  auto& symbols = scratch.symbols;
  auto& links = scratch.links;
  auto& heap = scratch.heap;
  const auto count = static_cast<std::uint32_t>(symbols.size());
  links.resize(count);
  heap.clear();
  for (std::uint32_t i = 0; i < count; ++i)
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};

  const auto consider = [&](std::uint32_t left, std::uint32_t right) {
    if (left == kNone || right == kNone) return;
    const Merge merge = lookup(symbols[left], symbols[right]);
    if (merge.id < 0) return;
    heap.push_back({merge.priority, left, right, symbols[left].length + symbols[right].length, merge.id});
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  for (std::uint32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const MergeScratch::Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    // A stale candidate: one side was swallowed (length 0) or has grown since.
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) continue;
    left.length = best.length;
    left.id = best.id;
    right.length = 0;
    links[best.left].next = links[best.right].next;
    if (links[best.right].next != kNone) links[links[best.right].next].previous = best.left;
    consider(links[best.left].previous, best.left);
    consider(best.left, links[best.left].next);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.length == 0; });
}

/// Joins `scratch.symbols` until no neighbours join. `lookup(const Symbol&, const Symbol&)` gives a Merge.
template <class Lookup>
void merge_symbols(MergeScratch& scratch, const Lookup& lookup) {
  if (scratch.symbols.size() <= kShortWordSymbols) {
    merge_by_rescanning(scratch, lookup);
  } else {
    merge_by_heap(scratch, lookup);
  }
}

}  // namespace troupe
