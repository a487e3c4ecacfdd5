#include "common/speculation/draft.hpp"

#include <algorithm>
#include <utility>

namespace troupe::speculation {

std::int32_t DraftTree::child(std::int32_t parent, TokenId token) const {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].parent == parent && nodes[i].token == token) return static_cast<std::int32_t>(i);
  return kRoot;
}

std::vector<std::uint32_t> DraftTree::depths() const {
  std::vector<std::uint32_t> depths(nodes.size(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].parent != kRoot) depths[i] = depths[static_cast<std::size_t>(nodes[i].parent)] + 1;
  return depths;
}

DraftTree usable(const DraftTree& draft, std::uint32_t vocab, std::uint32_t nodes, std::uint32_t depth) {
  constexpr std::int32_t kGone = -2;
  DraftTree out;
  std::vector<std::int32_t> place(draft.nodes.size(), kGone);
  std::vector<std::uint32_t> depths;
  for (std::size_t i = 0; i < draft.nodes.size() && out.size() < nodes; ++i) {
    const DraftNode& node = draft.nodes[i];
    if (node.token < 0 || static_cast<std::uint32_t>(node.token) >= vocab) continue;
    if (node.parent < DraftTree::kRoot || node.parent >= static_cast<std::int32_t>(i)) continue;
    const std::int32_t parent =
        node.parent == DraftTree::kRoot ? DraftTree::kRoot : place[static_cast<std::size_t>(node.parent)];
    if (parent == kGone) continue;
    const std::uint32_t at = parent == DraftTree::kRoot ? 0 : depths[static_cast<std::size_t>(parent)] + 1;
    if (at >= depth || out.child(parent, node.token) != DraftTree::kRoot) continue;
    place[i] = out.add(node.token, parent, std::clamp(node.confidence, 0.0F, 1.0F));
    depths.push_back(at);
  }
  return out;
}

DraftTree arranged(const DraftTree& draft, const std::vector<bool>& keep, std::span<const double> worth) {
  DraftTree out;
  // Nodes to be laid down, the next one last: {index in draft, parent in out}.
  std::vector<std::pair<std::int32_t, std::int32_t>> stack;
  const auto push_children = [&](std::int32_t of, std::int32_t parent) {
    std::vector<std::int32_t> children;
    for (std::size_t i = 0; i < draft.nodes.size(); ++i)
      if (keep[i] && draft.nodes[i].parent == of) children.push_back(static_cast<std::int32_t>(i));
    std::stable_sort(children.begin(), children.end(), [&](std::int32_t a, std::int32_t b) {
      return worth[static_cast<std::size_t>(a)] > worth[static_cast<std::size_t>(b)];
    });
    for (auto child = children.rbegin(); child != children.rend(); ++child)
      stack.emplace_back(*child, parent);
  };
  push_children(DraftTree::kRoot, DraftTree::kRoot);
  while (!stack.empty()) {
    const auto [index, parent] = stack.back();
    stack.pop_back();
    const DraftNode& node = draft.nodes[static_cast<std::size_t>(index)];
    push_children(index, out.add(node.token, parent, node.confidence));
  }
  return out;
}

}  // namespace troupe::speculation
