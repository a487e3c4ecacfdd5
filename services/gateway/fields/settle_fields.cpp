#include "services/gateway/fields/settle_fields.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "common/tokenizer/tokenizer.hpp"
#include "services/gateway/prepare.hpp"

namespace troupe::gateway {
namespace {

/// A longer prediction helps only as far as this: it travels with the order.
constexpr std::size_t kMostReference = 4096;
constexpr std::size_t kMostBreakerTail = 20;

/// Tokens of a text that goes on within another: no begin token, and what looks like a control token is text.
Expected<std::vector<TokenId>> inner_tokens(std::string_view text, const Tokenizer& tokenizer) {
  return tokenizer.encode(text, SpecialTokens::as_text, false);
}

/// Where a token's bytes end with the beginning of `text`, what `text` still lacks is put behind the token.
void find_runs(TokenId token, const std::string& bytes, const std::string& text, const Tokenizer& tokenizer,
               std::set<std::vector<TokenId>>& runs) {
  for (std::size_t at = bytes.find(text.front()); at != std::string::npos;
       at = bytes.find(text.front(), at + 1)) {
    const std::size_t held = bytes.size() - at;
    if (held >= text.size() || bytes.compare(at, held, text, 0, held) != 0) continue;
    auto tail = inner_tokens(std::string_view(text).substr(held), tokenizer);
    if (!tail) continue;  // cut inside a character: no text can begin there
    if (tail->size() > kMostBreakerTail) tail->resize(kMostBreakerTail);
    std::vector<TokenId> run{token};
    run.insert(run.end(), tail->begin(), tail->end());
    runs.insert(std::move(run));
  }
}

}  // namespace

Parsed<std::vector<std::vector<TokenId>>> bad_word_tokens(const std::vector<std::string>& words,
                                                          const Tokenizer& tokenizer) {
  std::vector<std::vector<TokenId>> out;
  for (const std::string& word : words) {
    const std::string bare = word.substr(std::min(word.size(), word.find_first_not_of(" \t\r\n")));
    auto plain = inner_tokens(bare, tokenizer);
    auto spaced = inner_tokens(" " + bare, tokenizer);
    if (!plain || !spaced)
      return tl::unexpected<ApiError>(to_api((plain ? spaced : plain).error(), "bad_words"));
    if (plain->empty()) return refuse("invalid_value", "bad_words", "bad_words: a word has no tokens");
    const bool other = spaced->size() == plain->size() && spaced->front() != plain->front();
    out.push_back(std::move(*plain));
    if (other) out.push_back(std::move(*spaced));
  }
  return out;
}

void find_breakers(const std::vector<std::string>& texts, const Tokenizer& tokenizer, DryParams& dry) {
  std::set<std::vector<TokenId>> runs;
  dry.breakers.clear();
  for (std::size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const auto token = static_cast<TokenId>(id);
    const std::string bytes = tokenizer.token_bytes(token, true);
    bool whole = false;
    for (const std::string& text : texts) {
      if (bytes.find(text) != std::string::npos) {
        whole = true;
      } else {
        find_runs(token, bytes, text, tokenizer, runs);
      }
    }
    if (whole) dry.breakers.push_back(token);
  }
  dry.breaker_runs.assign(runs.begin(), runs.end());
}

Parsed<void> settle_fields(GenerateRequest& request, const Tokenizer& tokenizer) {
  if (auto checked = check_ids(request.stop_token_ids, tokenizer, "stop_token_ids"); !checked) return checked;
  if (auto checked = check_ids(request.rules.allowed, tokenizer, "allowed_token_ids"); !checked)
    return checked;
  auto words = bad_word_tokens(request.bad_words, tokenizer);
  if (!words) return tl::unexpected<ApiError>(std::move(words.error()));
  request.rules.bad_words = std::move(*words);
  if (request.sampling.dry.multiplier > 0.0f)
    find_breakers(request.dry_breakers, tokenizer, request.sampling.dry);
  if (request.prediction.empty()) return {};
  auto reference = inner_tokens(request.prediction, tokenizer);
  if (!reference) return tl::unexpected<ApiError>(to_api(reference.error(), "prediction.content"));
  if (reference->size() > kMostReference) reference->resize(kMostReference);
  request.reference = std::move(*reference);
  return {};
}

}  // namespace troupe::gateway
