#pragma once
// Verification: from a draft and the target's own draws to the tokens that are emitted. At each node the
// target draws as plain decoding would there: from the row's own logits, with penalties of the tokens on the
// path, with random numbers keyed by position. A draft token is accepted iff it is that draw [Leviathan et
// al. 2023, arXiv:2211.17192, for arg-max; coupling draws by position extends it to any sampling]. So
// whatever the draft, the answer has the bytes of plain decoding.
//
// Rows of a sequence in a step: 0 is the root's, i + 1 that of node i. Logical index in the KV cache: the
// root's plus the row.
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/speculation/draft.hpp"

namespace troupe::speculation {

/// One sequence's step. Rows are asked about in ascending order; logits of rows off the path are of no use to
/// it.
class Verification {
 public:
  explicit Verification(DraftTree draft) : draft_(std::move(draft)) {}

  [[nodiscard]] const DraftTree& draft() const { return draft_; }
  [[nodiscard]] std::uint32_t rows() const { return draft_.size() + 1; }
  /// The row that the next token is drawn from; none: this step draws no more.
  [[nodiscard]] std::optional<std::uint32_t> next_row() const { return row_; }
  /// The target drew `token` there, and the answer goes on.
  void drew(TokenId token);
  /// The answer ends with the last draw (stop token, length).
  void stop() { row_.reset(); }

  /// Nodes whose KV is part of the answer, in order. The last token emitted is behind them: its KV comes with
  /// the next step.
  [[nodiscard]] const std::vector<std::uint32_t>& path() const { return path_; }
  [[nodiscard]] std::vector<TokenId> path_tokens() const;
  /// {from, to} rows to be moved, in this order, so that the path follows the root: nothing for a chain that
  /// is laid first.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint32_t>> moves() const;
  /// Rows that `row` attends to besides what stands before the root: the root, its ancestors and itself,
  /// ascending.
  [[nodiscard]] std::vector<std::uint32_t> seen_by(std::uint32_t row) const;

 private:
  DraftTree draft_;
  std::optional<std::uint32_t> row_ = 0;
  std::vector<std::uint32_t> path_;
};

}  // namespace troupe::speculation
