#pragma once
// A naive engine over the page pool: keeps what every slot holds and recounts everything after each
// operation. A slot's content is a hash of all tokens and positions up to it, so a wrong page, a missed copy
// or a false hit shows.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <set>
#include <vector>

#include "common/kv/sequence_pages.hpp"

namespace troupe::kv_test {

inline const std::string kPolicy(kDensePolicy);

/// Content of a slot after `before`. Never 0, which marks a slot that nobody may read.
inline std::uint64_t content(std::uint64_t before, TokenId token, std::uint32_t position) {
  return Hasher()
             .number(before)
             .number(static_cast<std::uint64_t>(token))
             .number(position)
             .finish<BlockKey>()
             .low |
         1;
}

inline std::vector<BlockKey> chain(const BlockKey& root, std::span<const TokenId> tokens) {
  std::vector<BlockKey> keys;
  BlockKey parent = root;
  for (std::size_t at = 0; at + kBlockTokens <= tokens.size(); at += kBlockTokens) {
    keys.push_back(parent = block_key(parent, tokens.subspan(at, kBlockTokens), kPolicy));
  }
  return keys;
}

/// A sequence and what its user believes of it.
struct Tracked {
  SequencePages pages;
  std::vector<TokenId> tokens;
  std::vector<std::uint32_t> positions;
  std::vector<std::uint64_t> contents;
  std::uint32_t computed = 0;

  void add(TokenId token) {
    positions.push_back(static_cast<std::uint32_t>(tokens.size()));
    tokens.push_back(token);
    contents.push_back(content(contents.empty() ? 0 : contents.back(), token, positions.back()));
  }
  void move(std::uint32_t index, std::uint32_t position) {
    positions[index] = position;
    for (std::size_t i = index; i < tokens.size(); ++i) {
      contents[i] = content(i == 0 ? 0 : contents[i - 1], tokens[i], positions[i]);
    }
  }
  void cut(std::uint32_t length) {
    tokens.resize(length);
    positions.resize(length);
    contents.resize(length);
    computed = std::min(computed, length);
  }
};

struct Cache {
  Cache(std::uint32_t pages, bool prefix_cache)
      : pool(pages, prefix_cache), slots(std::size_t{pages} * kPageTokens) {}

  void copy(const std::optional<CopyPage>& order) {
    if (!order) return;
    ASSERT_NE(order->from, order->to);
    const auto from = slots.begin() + order->from * kPageTokens;
    std::copy(from, from + kPageTokens, slots.begin() + order->to * kPageTokens);
    ++copies;
  }
  void write(const Tracked& sequence, std::uint32_t end) {
    for (std::uint32_t i = sequence.computed; i < end; ++i)
      slots[sequence.pages.slot_of(i)] = sequence.contents[i];
  }

  void check_owners_and_states() {
    std::vector<std::uint32_t> owners(pool.total());
    for (const Tracked& sequence : sequences) {
      for (const std::uint32_t page : sequence.pages.pages()) ++owners[page];
      if (sequence.pages.copy_reserve()) ++owners[*sequence.pages.copy_reserve()];
    }
    std::uint32_t free = 0, cached = 0;
    for (std::uint32_t page = 0; page < pool.total(); ++page) {
      ASSERT_EQ(pool.refcount(page), owners[page]) << "page " << page;
      if (owners[page] != 0) continue;
      if (pool.frozen_slots(page) != 0) {
        ++cached;
      } else {
        ++free;
        std::fill_n(slots.begin() + page * kPageTokens, kPageTokens, 0);
      }
    }
    ASSERT_EQ(pool.free(), free);
    ASSERT_EQ(pool.cached(), cached);
    ASSERT_EQ(pool.free() + pool.cached() + pool.referenced(), pool.total());
  }

  void check_sequences() {
    for (const Tracked& sequence : sequences) {
      ASSERT_TRUE(std::ranges::equal(sequence.pages.tokens(), sequence.tokens));
      ASSERT_EQ(sequence.pages.computed_length(), sequence.computed);
      for (std::uint32_t i = 0; i < sequence.tokens.size(); ++i) {
        ASSERT_EQ(sequence.pages.position_of(i), sequence.positions[i]);
        if (i < sequence.computed) {
          ASSERT_EQ(slots[sequence.pages.slot_of(i)], sequence.contents[i]) << "token " << i;
        }
      }
    }
  }

  void check_events() {
    for (const BlockEvent& event : pool.take_events()) {
      ASSERT_TRUE(event.stored ? stored.insert(event.key).second : stored.erase(event.key) == 1)
          << "event twice";
    }
    const std::vector<BlockKey> keys = pool.stored_keys();
    ASSERT_EQ(keys.size(), stored.size());
    for (const BlockKey& key : keys) ASSERT_TRUE(stored.contains(key));
  }

  /// What lookup finds of `prompt` is all that the replayed events promise, and holds the KV of exactly these
  /// tokens.
  void check_lookup(const BlockKey& root, std::span<const TokenId> prompt) {
    const std::vector<BlockKey> keys = chain(root, prompt);
    const PagePool::Match match = pool.lookup(keys);
    std::size_t whole = 0, blocks = 0;
    while ((whole + 1) * kBlocksPerPage <= keys.size() &&
           stored.contains(keys[(whole + 1) * kBlocksPerPage - 1]))
      ++whole;
    for (std::size_t b = 1; b < kBlocksPerPage && whole * kBlocksPerPage + b <= keys.size(); ++b) {
      if (stored.contains(keys[whole * kBlocksPerPage + b - 1])) blocks = b;
    }
    ASSERT_EQ(match.pages.size(), whole);
    ASSERT_EQ(match.blocks, blocks);
    ASSERT_EQ(match.partial_page.has_value(), blocks != 0);
    std::uint64_t expected = 0;
    for (std::uint32_t i = 0; i < match.tokens(); ++i) {
      expected = content(expected, prompt[i], i);
      const std::uint32_t page = i / kPageTokens < whole ? match.pages[i / kPageTokens] : *match.partial_page;
      ASSERT_EQ(slots[page * kPageTokens + i % kPageTokens], expected) << "token " << i << " of a hit";
    }
    hit_tokens += match.tokens();
  }

  PagePool pool;
  std::vector<std::uint64_t> slots;
  std::list<Tracked> sequences;
  std::set<BlockKey> stored;
  std::uint64_t copies = 0, hit_tokens = 0;
};

}  // namespace troupe::kv_test
