#include "common/speculation/verify.hpp"

#include <algorithm>

#include "common/base/error.hpp"

namespace troupe::speculation {

void Verification::drew(TokenId token) {
  TROUPE_CHECK(row_.has_value(), "a token was drawn after the step's last");
  const std::int32_t next = draft_.child(static_cast<std::int32_t>(*row_) - 1, token);
  if (next == DraftTree::kRoot) return row_.reset();
  path_.push_back(static_cast<std::uint32_t>(next));
  row_ = static_cast<std::uint32_t>(next) + 1;
}

std::vector<TokenId> Verification::path_tokens() const {
  std::vector<TokenId> tokens;
  for (const std::uint32_t node : path_) tokens.push_back(draft_.nodes[node].token);
  return tokens;
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> Verification::moves() const {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> moves;
  for (std::uint32_t i = 0; i < path_.size(); ++i)
    if (path_[i] != i) moves.emplace_back(path_[i] + 1, i + 1);
  return moves;
}

std::vector<std::uint32_t> Verification::seen_by(std::uint32_t row) const {
  std::vector<std::uint32_t> seen;
  for (std::int32_t node = static_cast<std::int32_t>(row) - 1; node != DraftTree::kRoot;
       node = draft_.nodes[static_cast<std::size_t>(node)].parent)
    seen.push_back(static_cast<std::uint32_t>(node) + 1);
  seen.push_back(0);
  std::reverse(seen.begin(), seen.end());
  return seen;
}

}  // namespace troupe::speculation
