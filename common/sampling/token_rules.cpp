#include "common/sampling/token_rules.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace troupe {
namespace {

void forbid(std::span<std::uint64_t> allowed, TokenId token) {
  const auto at = static_cast<std::size_t>(token);
  if (at / 64 < allowed.size()) allowed[at / 64] &= ~(std::uint64_t{1} << (at % 64));
}

void keep_only(std::span<std::uint64_t> allowed, std::span<const TokenId> tokens) {
  std::vector<std::uint64_t> kept(allowed.size(), 0);
  for (const TokenId token : tokens) {
    const auto at = static_cast<std::size_t>(token);
    if (at / 64 < kept.size()) kept[at / 64] |= std::uint64_t{1} << (at % 64);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) allowed[i] &= kept[i];
}

Expected<void> check(const char* rule, std::span<const TokenId> tokens, std::uint32_t vocab) {
  for (const TokenId token : tokens) {
    if (token >= 0 && static_cast<std::uint32_t>(token) < vocab) continue;
    return fail(Errc::invalid_argument, std::string(rule) + " names token " + std::to_string(token) +
                                            ", the vocabulary has " + std::to_string(vocab));
  }
  return {};
}

}  // namespace

void apply_rules(const TokenRules& rules, std::span<const TokenId> stop_tokens,
                 std::span<const TokenId> answer, std::span<std::uint64_t> allowed) {
  if (!rules.allowed.empty()) keep_only(allowed, rules.allowed);
  if (answer.size() < rules.min_tokens)
    for (const TokenId token : stop_tokens) forbid(allowed, token);
  for (const std::vector<TokenId>& word : rules.bad_words) {
    const std::size_t before = word.size() - 1;
    if (before > answer.size()) continue;
    if (std::equal(word.begin(), word.end() - 1, answer.end() - static_cast<std::ptrdiff_t>(before)))
      forbid(allowed, word.back());
  }
}

Expected<void> validate(const TokenRules& rules, std::uint32_t vocab) {
  TROUPE_TRY(check("allowed_token_ids", rules.allowed, vocab));
  for (const std::vector<TokenId>& word : rules.bad_words) {
    if (word.empty()) return fail(Errc::invalid_argument, "bad_words has a word without tokens");
    TROUPE_TRY(check("bad_words", word, vocab));
  }
  return {};
}

}  // namespace troupe
