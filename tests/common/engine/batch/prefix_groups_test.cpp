#include "common/engine/batch/prefix_groups.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Prompt = std::vector<TokenId>;

std::vector<BatchItem> items_of(const std::vector<Prompt>& prompts) {
  std::vector<BatchItem> items;
  for (const Prompt& prompt : prompts) items.push_back({prompt, 1});
  return items;
}

/// Random prompts that branch often; each ends in a token of its own.
std::vector<Prompt> branching_prompts(std::mt19937_64& random, std::size_t count) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < count; ++i) {
    Prompt prompt;
    if (!prompts.empty() && random() % 4 != 0) {
      const Prompt& other = prompts[random() % prompts.size()];
      prompt.assign(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(random() % other.size()));
    }
    for (std::uint64_t n = random() % 6; n > 0; --n) prompt.push_back(static_cast<TokenId>(random() % 2));
    prompt.push_back(static_cast<TokenId>(1000 + i));
    prompts.push_back(prompt);
  }
  return prompts;
}

std::size_t common_prefix(const Prompt& a, const Prompt& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

/// The most that any partition saves.
std::uint64_t best_partition(const std::vector<Prompt>& prompts, std::size_t next, std::vector<std::vector<std::size_t>>& parts) {
  if (next == prompts.size()) {
    std::uint64_t saved = 0;
    for (const auto& part : parts) {
      std::size_t shared = prompts[part[0]].size();
      for (const std::size_t member : part) shared = std::min(shared, common_prefix(prompts[part[0]], prompts[member]));
      saved += (part.size() - 1) * shared;
    }
    return saved;
  }
  std::uint64_t best = 0;
  for (std::size_t i = 0; i <= parts.size(); ++i) {
    if (i == parts.size()) parts.emplace_back();
    parts[i].push_back(next);
    best = std::max(best, best_partition(prompts, next + 1, parts));
    parts[i].pop_back();
    if (parts[i].empty()) parts.pop_back();
    if (i >= parts.size()) break;
  }
  return best;
}

/// The paper's own tree and rule, to compare with.
struct Edge {
  std::size_t length = 0;
  bool item = false;
  std::vector<std::unique_ptr<Edge>> children;
  [[nodiscard]] std::uint64_t leaves() const {
    std::uint64_t count = item ? 1 : 0;
    for (const auto& child : children) count += child->leaves();
    return count;
  }
};

std::unique_ptr<Edge> tree_of(const std::vector<const Prompt*>& prompts, std::size_t depth) {
  auto edge = std::make_unique<Edge>();
  std::size_t shared = prompts[0]->size();
  for (const Prompt* prompt : prompts) shared = std::min(shared, common_prefix(*prompts[0], *prompt));
  edge->length = shared - depth;
  edge->item = prompts.size() == 1;
  if (edge->item) return edge;
  std::map<TokenId, std::vector<const Prompt*>> branches;
  for (const Prompt* prompt : prompts) branches[(*prompt)[shared]].push_back(prompt);
  for (const auto& [token, branch] : branches) edge->children.push_back(tree_of(branch, shared));
  return edge;
}

void apply_rule(Edge& node) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    Edge* child = node.children[i].get();
    if (child->item) continue;
    apply_rule(*child);
    for (std::size_t g = 0; g < child->children.size();) {
      Edge& grandchild = *child->children[g];
      if ((static_cast<std::int64_t>(grandchild.leaves()) - 1) * static_cast<std::int64_t>(grandchild.length) <=
          static_cast<std::int64_t>(child->length)) {
        ++g;
        continue;
      }
      grandchild.length += child->length;
      node.children.push_back(std::move(child->children[g]));
      child->children.erase(child->children.begin() + static_cast<std::ptrdiff_t>(g));
      child = node.children[i].get();
    }
    if (child->children.size() == 1 && !child->children[0]->item) {
      auto only = std::move(child->children[0]);
      only->length += child->length;
      node.children[i] = std::move(only);
    }
  }
  std::erase_if(node.children, [](const auto& child) { return !child->item && child->children.empty(); });
}

std::uint64_t first_level_saving(const Edge& root) {
  std::uint64_t saved = 0;
  for (const auto& child : root.children)
    if (!child->item) saved += (child->leaves() - 1) * child->length;
  return saved;
}

Edge rooted(const std::vector<Prompt>& prompts) {
  std::map<TokenId, std::vector<const Prompt*>> branches;
  for (const Prompt& prompt : prompts) branches[prompt[0]].push_back(&prompt);
  Edge root;
  for (const auto& [token, branch] : branches) root.children.push_back(tree_of(branch, 0));
  return root;
}

TEST(PrefixGroups, SaveWhatTheBestPartitionSaves) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 400; ++round) {
    const auto prompts = branching_prompts(random, 1 + random() % 7);
    std::vector<std::vector<std::size_t>> parts;
    EXPECT_EQ(saved_tokens(prefix_groups(items_of(prompts), 1)), best_partition(prompts, 0, parts)) << round;
  }
}

TEST(PrefixGroups, SaveNoLessThanThePapersRuleWhichSavesNoLessThanTheFirstLevel) {
  std::mt19937_64 random(2);
  std::uint64_t first = 0, rule = 0, exact = 0;
  for (int round = 0; round < 300; ++round) {
    const auto prompts = branching_prompts(random, 2 + random() % 30);
    Edge root = rooted(prompts);
    const std::uint64_t before = first_level_saving(root);
    apply_rule(root);
    const std::uint64_t after = first_level_saving(root), best = saved_tokens(prefix_groups(items_of(prompts), 1));
    EXPECT_LE(after, best);
    first += before, rule += after, exact += best;
  }
  EXPECT_LT(first, rule);
  EXPECT_LE(rule, exact);
  EXPECT_GT(static_cast<double>(rule), 0.9 * static_cast<double>(exact)) << "the rule is near the best one: else this tree is not its";
}

TEST(PrefixGroups, EveryItemIsInOneGroupWhosePrefixItHas) {
  std::mt19937_64 random(3);
  for (const std::uint32_t granule : {1u, 2u, 16u}) {
    const auto prompts = branching_prompts(random, 200);
    const auto items = items_of(prompts);
    const auto groups = prefix_groups(items, granule);
    std::vector<int> seen(items.size(), 0);
    for (const PrefixGroup& group : groups) {
      EXPECT_EQ(group.prefix_tokens % granule, 0u);
      EXPECT_TRUE(std::is_sorted(group.members.begin(), group.members.end()));
      EXPECT_EQ(group.members.size() > 1, group.prefix_tokens > 0);
      for (const std::uint32_t member : group.members) {
        seen[member] += 1;
        EXPECT_LT(group.prefix_tokens, prompts[member].size());
        EXPECT_GE(common_prefix(prompts[group.members[0]], prompts[member]), group.prefix_tokens);
      }
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
    std::uint64_t all = 0;
    for (const Prompt& prompt : prompts) all += prompt.size();
    EXPECT_EQ(computed_tokens(groups, items) + saved_tokens(groups), all);
  }
}

TEST(PrefixGroups, EqualPromptsShareAllButTheirLastTokens) {
  const Prompt prompt(64, 5);
  const std::vector<BatchItem> items(3, BatchItem{prompt, 1});
  const auto groups = prefix_groups(items, 16);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].prefix_tokens, 48u);
}

TEST(PrefixGroups, TenantsAndItemsThatShareNothingStayApart) {
  const Prompt prompt(64, 5);
  const std::vector<BatchItem> items = {{prompt, 1, "a"}, {prompt, 1, "b"}, {prompt, 1, "a"}, {prompt, 1, "a", false}};
  const auto groups = prefix_groups(items, 16);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].members, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(groups[1].members, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(groups[2].members, (std::vector<std::uint32_t>{3}));
}

TEST(PrefixGroups, GroupsThatDecodeMostPerComputedTokenGoFirst) {
  std::mt19937_64 random(4);
  const auto prompts = branching_prompts(random, 100);
  auto items = items_of(prompts);
  for (BatchItem& item : items) item.answer_tokens = static_cast<std::uint32_t>(random() % 50);
  auto groups = prefix_groups(items, 1);
  order_groups(groups, items);
  double last = 1e9;
  for (const PrefixGroup& group : groups) {
    double answers = 0;
    for (const std::uint32_t member : group.members) answers += items[member].answer_tokens;
    const double ratio = answers / static_cast<double>(computed_tokens(std::span(&group, 1), items));
    EXPECT_LE(ratio, last);
    last = ratio;
  }
}

TEST(PrefixGroups, ALongChainOfPrefixesIsWalkedWithoutRecursion) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 1; i <= 1500; ++i) prompts.emplace_back(i * 4, 7);
  const auto groups = prefix_groups(items_of(prompts), 1);
  EXPECT_GT(saved_tokens(groups), 0u);
  EXPECT_TRUE(prefix_groups({}, 16).empty());
}

}  // namespace
}  // namespace troupe::engine
