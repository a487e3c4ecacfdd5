#include "common/engine/batch/prefix_groups.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::engine {
namespace {

/// A node of the compact prefix tree; number 0 is the root.
struct Node {
  std::uint32_t depth = 0;              // tokens from the root
  std::vector<std::uint32_t> children;  // nodes
  std::vector<std::uint32_t> leaves;    // items that end directly below it
  std::uint32_t opens_below = 0;        // opens a group unless one is open at this level or deeper
};

/// Tokens that two neighbours in sorted order may share.
std::uint32_t shared_tokens(const BatchItem& a, const BatchItem& b, std::uint32_t granule) {
  if (!a.shares || !b.shares || a.tenant != b.tenant) return 0;
  // At least one token of each is left: logits come from it.
  const std::size_t most = std::min(a.prompt.size(), b.prompt.size());
  const auto end = a.prompt.begin() + static_cast<std::ptrdiff_t>(most == 0 ? 0 : most - 1);
  const auto same = std::mismatch(a.prompt.begin(), end, b.prompt.begin()).first - a.prompt.begin();
  return static_cast<std::uint32_t>(same) / granule * granule;
}

std::vector<std::uint32_t> sorted_items(std::span<const BatchItem> items) {
  std::vector<std::uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t x, std::uint32_t y) {
    const BatchItem &a = items[x], &b = items[y];
    if (a.shares != b.shares) return a.shares;
    if (a.tenant != b.tenant) return a.tenant < b.tenant;
    return std::lexicographical_compare(a.prompt.begin(), a.prompt.end(), b.prompt.begin(), b.prompt.end());
  });
  return order;
}

/// Neighbours of the sorted order open and close nodes: what they share is the depth they part at.
std::vector<Node> prefix_tree(std::span<const BatchItem> items, std::uint32_t granule) {
  const std::vector<std::uint32_t> order = sorted_items(items);
  std::vector<Node> nodes(1);
  std::vector<std::uint32_t> path = {0};  // to the node the last item ended below
  const auto open = [&](std::uint32_t depth) {
    path.push_back(static_cast<std::uint32_t>(nodes.size()));
    nodes.emplace_back().depth = depth;
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint32_t next = i + 1 < order.size() ? shared_tokens(items[order[i]], items[order[i + 1]], granule) : 0;
    if (next > nodes[path.back()].depth) open(next);
    nodes[path.back()].leaves.push_back(order[i]);
    while (nodes[path.back()].depth > next) {
      const std::uint32_t child = path.back();
      path.pop_back();
      if (nodes[path.back()].depth < next) open(next);
      nodes[path.back()].children.push_back(child);
    }
  }
  return nodes;
}

/// Walks the tree without recursion: prompts, and so paths, may be long. `enter(node, level)`, then its children, then `leave`.
template <class Enter, class Leave>
void walk(const std::vector<Node>& nodes, Enter enter, Leave leave) {
  std::vector<std::pair<std::uint32_t, std::size_t>> path = {{0, 0}};  // node and its next child
  enter(0u, 0u);
  while (!path.empty()) {
    const std::uint32_t node = path.back().first;
    if (path.back().second < nodes[node].children.size()) {
      const std::uint32_t child = nodes[node].children[path.back().second++];
      path.emplace_back(child, 0);
      enter(child, static_cast<std::uint32_t>(path.size() - 1));
    } else {
      leave(node, static_cast<std::uint32_t>(path.size() - 1));
      path.pop_back();
    }
  }
}

/// The recursion of the header, for every level k of a nearest open group at once: sums[level][k].
void choose_openings(std::vector<Node>& nodes) {
  std::vector<std::uint64_t> depths;
  std::vector<std::vector<std::uint64_t>> sums;
  walk(
      nodes,
      [&](std::uint32_t node, std::uint32_t level) {
        depths.resize(level);
        depths.push_back(nodes[node].depth);
        sums.resize(level);
        sums.emplace_back(depths);
        for (std::uint64_t& sum : sums.back()) sum *= nodes[node].leaves.size();
      },
      [&](std::uint32_t node, std::uint32_t level) {
        const std::vector<std::uint64_t>& sum = sums[level];
        const std::uint64_t opened = sum[level] - std::min<std::uint64_t>(sum[level], nodes[node].depth);
        for (std::uint32_t k = 0; k < level; ++k) {
          if (opened > sum[k]) nodes[node].opens_below = k + 1;  // sums never fall with k
          sums[level - 1][k] += std::max(opened, sum[k]);
        }
      });
}

}  // namespace

std::vector<PrefixGroup> prefix_groups(std::span<const BatchItem> items, std::uint32_t granule) {
  std::vector<Node> nodes = prefix_tree(items, std::max(1u, granule));
  choose_openings(nodes);
  std::vector<PrefixGroup> groups;
  struct Open {
    std::uint32_t level = 0;
    std::size_t group = SIZE_MAX;  // none: each item is a group of its own
  };
  std::vector<Open> path;
  const auto enter = [&](std::uint32_t node, std::uint32_t level) {
    path.resize(level);
    Open open = level == 0 ? Open{} : path.back();
    if (open.level < nodes[node].opens_below) {
      open = {level, groups.size()};
      groups.push_back({nodes[node].depth, {}});
    }
    for (const std::uint32_t item : nodes[node].leaves) {
      if (open.group == SIZE_MAX) groups.push_back({0, {item}});
      else groups[open.group].members.push_back(item);
    }
    path.push_back(open);
  };
  walk(nodes, enter, [](std::uint32_t, std::uint32_t) {});
  for (PrefixGroup& group : groups) std::sort(group.members.begin(), group.members.end());
  std::sort(groups.begin(), groups.end(), [](const PrefixGroup& a, const PrefixGroup& b) { return a.members[0] < b.members[0]; });
  return groups;
}

std::uint64_t saved_tokens(std::span<const PrefixGroup> groups) {
  std::uint64_t saved = 0;
  for (const PrefixGroup& group : groups) saved += std::uint64_t{group.prefix_tokens} * (group.members.size() - 1);
  return saved;
}

std::uint64_t computed_tokens(std::span<const PrefixGroup> groups, std::span<const BatchItem> items) {
  std::uint64_t tokens = 0;
  for (const PrefixGroup& group : groups) {
    tokens += group.prefix_tokens;
    for (const std::uint32_t member : group.members) tokens += items[member].prompt.size() - group.prefix_tokens;
  }
  return tokens;
}

void order_groups(std::vector<PrefixGroup>& groups, std::span<const BatchItem> items) {
  struct Ranked {
    std::uint64_t answers = 0, prompts = 0;
    PrefixGroup group;
  };
  std::vector<Ranked> ranked;
  for (PrefixGroup& group : groups) {
    Ranked r{0, computed_tokens(std::span(&group, 1), items), {}};
    for (const std::uint32_t member : group.members) r.answers += items[member].answer_tokens;
    r.group = std::move(group);
    ranked.push_back(std::move(r));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return static_cast<double>(a.answers) * static_cast<double>(b.prompts) > static_cast<double>(b.answers) * static_cast<double>(a.prompts);
  });
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = std::move(ranked[i].group);
}

}  // namespace troupe::engine
