#pragma once
// A draft: guesses at the tokens after the last verified one, as a tree. A chain is a tree with one child per
// node, and an empty tree is plain decoding.
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::speculation {

struct DraftNode {
  TokenId token = 0;
  std::int32_t parent = -1;  ///< index of an earlier node; -1: it follows the root, the last verified token
  float confidence =
      0;  ///< 0..1, the drafter's own guess that it is accepted once its parent is; only for choosing rows
};

/// Nodes in an order in which every parent stands before its children. Which child of a node is first does
/// not matter: the token that is emitted is always the target's own draw (verify.hpp).
struct DraftTree {
  static constexpr std::int32_t kRoot = -1;

  std::vector<DraftNode> nodes;

  [[nodiscard]] bool empty() const { return nodes.empty(); }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(nodes.size()); }
  /// Returns the new node's index, to be a parent.
  std::int32_t add(TokenId token, std::int32_t parent, float confidence) {
    nodes.push_back({token, parent, confidence});
    return static_cast<std::int32_t>(nodes.size()) - 1;
  }
  /// The child of `parent` with this token; kRoot: none.
  [[nodiscard]] std::int32_t child(std::int32_t parent, TokenId token) const;
  /// 0 for a child of the root.
  [[nodiscard]] std::vector<std::uint32_t> depths() const;
};

/// What of a draft is usable, whoever made it: tokens below `vocab`, parents that stand before, no two
/// siblings alike, at most `nodes` nodes, none deeper than `depth` tokens. Whatever hangs from a node that
/// goes, goes too. Cost: O(nodes^2), few.
[[nodiscard]] DraftTree usable(const DraftTree& draft, std::uint32_t vocab, std::uint32_t nodes,
                               std::uint32_t depth);

/// Of the nodes marked in `keep` (with each, its parent), the same tree in preorder, the child of the highest
/// `worth` first: the likeliest chain lies side by side, so that accepting it moves nothing.
[[nodiscard]] DraftTree arranged(const DraftTree& draft, const std::vector<bool>& keep,
                                 std::span<const double> worth);

}  // namespace troupe::speculation
