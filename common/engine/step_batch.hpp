#pragma once
// What one forward pass computes: any number of query rows of any sequences, causal or tree-shaped. Prefill chunks, decode,
// verification and beams are all this.
#include <cstdint>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/base/ids.hpp"

namespace troupe::engine {

/// Row i of the pass is tokens[i], positions[i], slots[i] and attention.rows[i].
struct StepBatch {
  std::vector<TokenId> tokens;
  std::vector<std::int32_t> positions;      ///< for rope; not implied by the place in the cache
  std::vector<std::int32_t> slots;          ///< physical: page * 64 + slot
  backend::AttentionBatch attention;
  std::vector<std::int32_t> logit_rows;     ///< rows whose logits are wanted, ascending; the others skip the head

  std::vector<std::int32_t> logit_keep;     ///< of each of these: how many of the best are wanted; 0: all

  std::vector<std::int32_t> state_rows;     ///< rows whose last states are wanted, ascending

  /// A row whose input is a weighted sum of embeddings in place of its own token's.
  struct Blend {
    std::uint32_t row = 0;
    std::uint32_t end = 0;  ///< its part of blend_tokens and blend_weights begins where that of the blend before ends
  };
  std::vector<Blend> blends;
  std::vector<TokenId> blend_tokens;
  std::vector<float> blend_weights;

  [[nodiscard]] std::uint32_t rows() const { return static_cast<std::uint32_t>(tokens.size()); }
  void clear() {
    tokens.clear();
    positions.clear();
    slots.clear();
    logit_rows.clear();
    logit_keep.clear();
    state_rows.clear();
    blends.clear();
    blend_tokens.clear();
    blend_weights.clear();
    attention.rows.clear();
    attention.table_begin.clear();
    attention.tables.clear();
    attention.extras.clear();
  }
  /// Adds a sequence's page table; returns its index for add_row.
  std::uint32_t add_sequence(const std::vector<std::uint32_t>& pages) {
    attention.table_begin.push_back(static_cast<std::uint32_t>(attention.tables.size()));
    attention.tables.insert(attention.tables.end(), pages.begin(), pages.end());
    return static_cast<std::uint32_t>(attention.table_begin.size() - 1);
  }
  /// A causal row at logical index `index` of its sequence; `keep`: how many of its best logits are wanted, 0 for all.
  void add_row(std::uint32_t sequence, TokenId token, std::uint32_t position, std::uint32_t slot, std::uint32_t index,
               bool wants_logits, std::uint32_t keep = 0) {
    if (wants_logits) {
      logit_rows.push_back(static_cast<std::int32_t>(tokens.size()));
      logit_keep.push_back(static_cast<std::int32_t>(keep));
    }
    tokens.push_back(token);
    positions.push_back(static_cast<std::int32_t>(position));
    slots.push_back(static_cast<std::int32_t>(slot));
    attention.rows.push_back({sequence, index + 1, 0, 0});
  }
  /// One more part of the input of the row that was added last, which from the first part on is their sum.
  void blend(TokenId token, float weight) {
    const std::uint32_t row = rows() - 1;
    if (blends.empty() || blends.back().row != row) blends.push_back({row, static_cast<std::uint32_t>(blend_tokens.size())});
    blend_tokens.push_back(token);
    blend_weights.push_back(weight);
    blends.back().end += 1;
  }
  /// A row of a draft at logical index `index`, which sees the first `prefix` of its sequence and then those of `seen`, itself last.
  void add_draft_row(std::uint32_t sequence, TokenId token, std::uint32_t position, std::uint32_t slot, std::uint32_t prefix,
                     std::span<const std::uint32_t> seen, std::uint32_t keep) {
    add_row(sequence, token, position, slot, prefix, true, keep);
    attention.rows.back() = {sequence, prefix, static_cast<std::uint32_t>(attention.extras.size()),
                             static_cast<std::uint32_t>(seen.size())};
    attention.extras.insert(attention.extras.end(), seen.begin(), seen.end());
  }
};

}  // namespace troupe::engine
