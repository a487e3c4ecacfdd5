#pragma once
// Which prompts of a known set are computed together: groups that share an explicit prefix, found over the whole set before
// anything runs [Zheng et al. 2024, BatchLLM, arXiv:2412.03594, section 4]. One level of sharing: a group is a prefix of p
// tokens and its members' tails, and saves (members - 1) * p tokens.
//
// Departs from the paper: the largest saving is found exactly, by a recursion over the prefix tree, where the paper enlarges
// first-level prefixes by a bottom-up rule. With D(v) the tokens from the root to node v, the most that the leaves below v can
// have covered by a group, an ancestor's of depth e or one below, less what each new group computes once, is
//   H(v, e) = max(sum over children H(child, e), sum over children H(child, D(v)) - D(v)),  H(leaf, e) = e.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::engine {

struct BatchItem {
  std::span<const TokenId> prompt;
  std::uint32_t answer_tokens = 0;  ///< expected
  std::string_view tenant = {};     ///< tenants share nothing
  bool shares = true;               ///< false: its whole prompt has to be computed
};

struct PrefixGroup {
  std::uint32_t prefix_tokens = 0;     ///< a multiple of the granule, below each member's length; 0 for a group of one
  std::vector<std::uint32_t> members;  ///< indices of items, ascending
};

/// Groups that save the most tokens; every item is in exactly one. Cost: O(N log N) comparisons of prompts, and O(nodes * depth)
/// of their prefix tree.
[[nodiscard]] std::vector<PrefixGroup> prefix_groups(std::span<const BatchItem> items, std::uint32_t granule);

/// Tokens that no member computes because another of its group did.
[[nodiscard]] std::uint64_t saved_tokens(std::span<const PrefixGroup> groups);
/// Prompt tokens the groups compute: each prefix once, then the tails.
[[nodiscard]] std::uint64_t computed_tokens(std::span<const PrefixGroup> groups, std::span<const BatchItem> items);

/// Largest R first, R = expected answer tokens / computed prompt tokens of the group: groups that decode much are decoding while
/// the prompts of later ones fill their steps [the same, section 4.2]. Ties: the group with the earliest item.
void order_groups(std::vector<PrefixGroup>& groups, std::span<const BatchItem> items);

}  // namespace troupe::engine
