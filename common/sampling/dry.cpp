#include "common/sampling/dry.hpp"

#include <algorithm>
#include <map>

#include "common/sampling/exact_math.hpp"

namespace troupe {
namespace {

constexpr double kMostPenalty = 1e30;  // beyond it a float minus it is what it is minus infinity

/// The longest breaker that begins at the front of `tokens`; 0: there is none.
std::size_t breaker_at(std::span<const TokenId> tokens, const DryParams& dry) {
  std::size_t longest = std::binary_search(dry.breakers.begin(), dry.breakers.end(), tokens.front()) ? 1 : 0;
  auto run = std::lower_bound(dry.breaker_runs.begin(), dry.breaker_runs.end(),
                              std::vector<TokenId>{tokens.front()});
  for (; run != dry.breaker_runs.end() && run->front() == tokens.front(); ++run) {
    if (run->size() > longest && run->size() <= tokens.size() &&
        std::equal(run->begin(), run->end(), tokens.begin()))
      longest = run->size();
  }
  return longest;
}

/// Tokens behind the last breaker; one of several tokens counts when it has come whole.
std::size_t behind_breaker(std::span<const TokenId> tokens, const DryParams& dry) {
  for (std::size_t count = 1; count <= tokens.size(); ++count)
    if (const std::size_t length = breaker_at(tokens.last(count), dry); length > 0) return count - length;
  return tokens.size();
}

/// [k]: how many tokens agree, going back from the end and from k before the end (the Z-function of the
/// reversed text [Gusfield 1997]).
std::vector<std::size_t> agreements(std::span<const TokenId> tokens) {
  const std::size_t n = tokens.size();
  const auto back = [&](std::size_t i) { return tokens[n - 1 - i]; };
  std::vector<std::size_t> agree(n, 0);
  std::size_t begin = 0, end = 0;  // of the window that reaches furthest
  for (std::size_t k = 1; k < n; ++k) {
    std::size_t count = k < end ? std::min(end - k, agree[k - begin]) : 0;
    while (k + count < n && back(count) == back(k + count)) ++count;
    agree[k] = count;
    if (k + count > end) begin = k, end = k + count;
  }
  return agree;
}

}  // namespace

std::vector<std::pair<TokenId, float>> dry_penalties(std::span<const TokenId> tokens, const DryParams& dry) {
  if (!(dry.multiplier > 0.0f)) return {};
  if (dry.last_n >= 0) tokens = tokens.last(std::min(tokens.size(), static_cast<std::size_t>(dry.last_n)));
  if (tokens.size() <= dry.allowed_length) return {};
  const std::size_t most = behind_breaker(tokens, dry);
  if (most < dry.allowed_length) return {};
  const std::vector<std::size_t> agree = agreements(tokens);
  std::map<TokenId, std::size_t> longest;  // run behind which a token stood
  for (std::size_t k = 1; k < tokens.size(); ++k) {
    const std::size_t run = std::min(agree[k], most);
    if (run < dry.allowed_length) continue;
    std::size_t& known = longest[tokens[tokens.size() - k]];
    known = std::max(known, run);
  }
  const double log_base = exact::log(static_cast<double>(dry.base));
  std::vector<std::pair<TokenId, float>> out;
  for (const auto& [token, run] : longest) {
    const double power = exact::exp(log_base * static_cast<double>(run - dry.allowed_length));
    out.emplace_back(token,
                     static_cast<float>(std::min(static_cast<double>(dry.multiplier) * power, kMostPenalty)));
  }
  return out;
}

}  // namespace troupe
