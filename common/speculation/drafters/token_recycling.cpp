// Token Recycling: what the target ranked highest after a token, the last time it stood somewhere, is
// unrolled as a tree [Luo et al. 2024, arXiv:2408.08696]. The template is the paper's of 80 nodes; smaller
// budgets take the nodes whose ranks are likeliest. Departs from the paper: rows never seen are empty instead
// of token 0, pairs of the prompt fill them, and of rows with one token the verified context's counts.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {
namespace {

constexpr TokenId kUnset = -1;
/// How often the target's next choice had this rank; where drafts begin before anything is learnt.
constexpr std::array<float, kMostBest> kOfRank = {0.45F, 0.14F, 0.08F, 0.06F, 0.04F, 0.03F, 0.02F, 0.02F};

struct TemplateNode {
  std::int32_t parent;
  std::uint32_t rank;
  std::uint32_t depth;
};

/// Nodes of one level: the path to their parent, and how many leading ranks follow it.
struct Branch {
  std::vector<std::uint32_t> parent;
  std::uint32_t children;
};

std::vector<TemplateNode> make_template() {
  static const std::vector<Branch> kBranches = {
      {{}, 8},
      {{0}, 8},
      {{1}, 4},
      {{2}, 3},
      {{3}, 2},
      {{4}, 1},
      {{5}, 1},
      {{6}, 1},
      {{7}, 1},
      {{0, 0}, 8},
      {{0, 1}, 3},
      {{0, 2}, 2},
      {{0, 3}, 1},
      {{0, 4}, 1},
      {{0, 5}, 1},
      {{0, 6}, 1},
      {{0, 7}, 1},
      {{1, 0}, 2},
      {{1, 1}, 1},
      {{2, 0}, 1},
      {{3, 0}, 1},
      {{4, 0}, 1},
      {{5, 0}, 1},
      {{0, 0, 0}, 5},
      {{0, 0, 1}, 2},
      {{0, 0, 2}, 1},
      {{0, 0, 3}, 1},
      {{0, 0, 4}, 1},
      {{0, 1, 0}, 1},
      {{0, 2, 0}, 1},
      {{1, 0, 0}, 1},
      {{2, 0, 0}, 1},
      {{3, 0, 0}, 1},
      {{0, 0, 0, 0}, 3},
      {{0, 0, 0, 1}, 1},
      {{0, 0, 0, 2}, 1},
      {{0, 0, 1, 0}, 1},
      {{0, 1, 0, 0}, 1},
      {{1, 0, 0, 0}, 1},
      {{0, 0, 0, 0, 0}, 2},
      {{0, 0, 0, 1, 0}, 1},
  };
  struct Path {
    std::vector<std::uint32_t> ranks;
    float worth;
  };
  std::vector<Path> paths;
  for (const Branch& branch : kBranches)
    for (std::uint32_t rank = 0; rank < branch.children; ++rank) {
      Path path{branch.parent, 1};
      path.ranks.push_back(rank);
      for (const std::uint32_t step : path.ranks) path.worth *= kOfRank[step];
      paths.push_back(std::move(path));
    }
  // A parent is worth more than its children and stays before them, so every beginning of the list is a tree.
  std::stable_sort(paths.begin(), paths.end(),
                   [](const Path& a, const Path& b) { return a.worth > b.worth; });
  std::map<std::vector<std::uint32_t>, std::int32_t> place = {{{}, DraftTree::kRoot}};
  std::vector<TemplateNode> nodes;
  for (const Path& path : paths) {
    const std::vector<std::uint32_t> parent(path.ranks.begin(), path.ranks.end() - 1);
    nodes.push_back({place.at(parent), path.ranks.back(), static_cast<std::uint32_t>(parent.size())});
    place[path.ranks] = static_cast<std::int32_t>(nodes.size()) - 1;
  }
  return nodes;
}

/// What followed each token, best first: [V, 8].
class Matrix {
 public:
  explicit Matrix(std::uint32_t vocab) : rows_(vocab, empty()) {}
  using Row = std::array<TokenId, kMostBest>;
  static Row empty() {
    Row row;
    row.fill(kUnset);
    return row;
  }
  [[nodiscard]] const Row& after(TokenId token) const { return rows_[static_cast<std::size_t>(token)]; }
  void set(const RankedRow& ranked) {
    Row row = empty();
    std::copy_n(ranked.best.begin(), ranked.count, row.begin());
    rows_[static_cast<std::size_t>(ranked.token)] = row;
  }
  /// Into a place nothing has been ranked for.
  void suggest(TokenId token, TokenId next) {
    Row& row = rows_[static_cast<std::size_t>(token)];
    const auto free =
        std::find_if(row.begin(), row.end(), [&](TokenId one) { return one == kUnset || one == next; });
    if (free != row.end()) *free = next;
  }
  std::uint64_t used = 0;

 private:
  std::vector<Row> rows_;
};

class TokenRecycling final : public Drafter {
 public:
  explicit TokenRecycling(const DrafterOptions& options) : options_(options), template_(make_template()) {}

  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    Matrix& matrix = matrix_of(context.tenant);
    if (seen_.insert(context.sequence).second)
      for (std::size_t i = 0; i + 1 < context.prompt; ++i)
        matrix.suggest(context.tokens[i], context.tokens[i + 1]);
    DraftTree draft;
    std::vector<std::int32_t> place(template_.size(), kAbsent);
    for (std::size_t i = 0; i < template_.size() && draft.size() < budget.nodes; ++i) {
      const TemplateNode& node = template_[i];
      if (node.depth >= budget.depth) continue;
      const std::int32_t parent =
          node.parent == DraftTree::kRoot ? DraftTree::kRoot : place[static_cast<std::size_t>(node.parent)];
      if (parent == kAbsent) continue;
      const TokenId before = parent == DraftTree::kRoot ? context.tokens.back()
                                                        : draft.nodes[static_cast<std::size_t>(parent)].token;
      const TokenId token = matrix.after(before)[node.rank];
      if (token != kUnset && draft.child(parent, token) == DraftTree::kRoot)
        place[i] = draft.add(token, parent, kOfRank[node.rank]);
    }
    return draft;
  }
  void observe(const DraftContext& context, const Observation& observation) override {
    if (observation.rows.empty()) return;
    Matrix& matrix = matrix_of(context.tenant);
    for (const RankedRow& row : observation.rows)
      if (row.count > 0) matrix.set(row);
  }
  void fork(SequenceNumber from, SequenceNumber to) override {
    if (seen_.contains(from)) seen_.insert(to);
  }
  void forget(SequenceNumber sequence) override { seen_.erase(sequence); }

 private:
  static constexpr std::int32_t kAbsent = -2;

  Matrix& matrix_of(std::string_view tenant) {
    auto found = matrices_.find(tenant);
    if (found == matrices_.end()) {
      if (matrices_.size() >= std::max(1u, options_.most_tenants))
        matrices_.erase(
            std::min_element(matrices_.begin(), matrices_.end(),
                             [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
      found = matrices_.emplace(std::string(tenant), Matrix(options_.vocab)).first;
    }
    found->second.used = ++clock_;
    return found->second;
  }

  const DrafterOptions options_;
  const std::vector<TemplateNode> template_;
  std::map<std::string, Matrix, std::less<>> matrices_;
  std::set<SequenceNumber> seen_;  ///< whose prompts were taken in
  std::uint64_t clock_ = 0;
};

}  // namespace

std::unique_ptr<Drafter> make_token_recycling(const DrafterOptions& options) {
  return std::make_unique<TokenRecycling>(options);
}

}  // namespace troupe::speculation
