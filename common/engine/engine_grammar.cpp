// Answers of a given form or by rules: which tokens may be drawn, and what a drawn one leads to. Draws alone move a sequence's
// matcher and its answer, so a guess that a draft made counts only where grammar and rules, too, led to it; whoever resumes a
// stream reads its tokens again.
#include <algorithm>

#include "common/engine/engine_impl.hpp"
#include "common/sampling/token_rules.hpp"

namespace troupe::engine {

/// At the end of what a resumed request brings. Errors: invalid_argument, the grammar does not allow it.
Expected<grammar::Matcher> EngineImpl::matcher_of(const Request& request) {
  grammar::Matcher matcher(request.grammar);
  const std::size_t own = request.prompt.size() - request.resumed_tokens;
  for (std::size_t i = own; i < request.prompt.size(); ++i)
    if (!matcher.accept(request.prompt[i]))
      return fail(Errc::invalid_argument, "token " + std::to_string(i - own) + " of the answer is not what its grammar allows");
  return matcher;
}

/// Rules decide over the next draw. Once they do not, they do not later on.
bool EngineImpl::ruled(const Sequence& sequence) {
  const TokenRules& rules = sequence.request->rules;
  return !rules.allowed.empty() || !rules.bad_words.empty() || sequence.emitted < rules.min_tokens;
}

/// Those that go on with the answer and, where it may end, stop tokens without a text.
void EngineImpl::allow_form(Sequence& sequence) {
  const std::span<const std::uint64_t> mask = sequence.matcher->mask();
  allowed_.assign(mask.begin(), mask.end());
  if (!sequence.matcher->may_end()) return;
  const grammar::TokenTrie& vocabulary = sequence.request->grammar->vocabulary();
  for (const TokenId token : sequence.request->stop_tokens) {
    const bool known = token >= 0 && static_cast<std::uint32_t>(token) < vocabulary.vocab();
    if (known && vocabulary.bytes(token).empty())
      allowed_[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<std::uint32_t>(token) % 64);
  }
}

/// By form and rules. Empty: there is none.
std::span<const std::uint64_t> EngineImpl::allowed_tokens(Sequence& sequence) {
  const Request& request = *sequence.request;
  if (sequence.matcher) {
    allow_form(sequence);
  } else {
    const std::uint32_t vocab = model_->config().vocab;
    allowed_.assign((vocab + 63) / 64, ~std::uint64_t{0});
    if (vocab % 64 != 0) allowed_.back() = (std::uint64_t{1} << (vocab % 64)) - 1;
  }
  const auto answer = std::span<const TokenId>(sequence.tokens).subspan(request.prompt.size() - request.resumed_tokens);
  apply_rules(request.rules, request.stop_tokens, answer, allowed_);
  const bool any = std::any_of(allowed_.begin(), allowed_.end(), [](std::uint64_t word) { return word != 0; });
  return any ? std::span<const std::uint64_t>(allowed_) : std::span<const std::uint64_t>();
}

/// Draws a token that form and rules allow and moves the matcher behind it. nullopt: there is none.
std::optional<GeneratedToken> EngineImpl::allowed_token(Sequence& sequence, const RowLogits& logits) {
  std::span<const std::uint64_t> allowed = allowed_tokens(sequence);
  while (!allowed.empty()) {
    GeneratedToken token = next_token(sequence, logits, allowed);
    const auto id = static_cast<std::size_t>(token.token);
    if (id / 64 >= allowed_.size() || (allowed_[id / 64] >> (id % 64) & 1) == 0) break;  // logits without a number
    const bool ends = !sequence.matcher || sequence.request->grammar->vocabulary().bytes(token.token).empty();
    if (ends || sequence.matcher->accept(token.token)) return token;
    // Of very ambiguous texts a mask may hold too much: another draw, without this one.
    allowed_[id / 64] &= ~(std::uint64_t{1} << (id % 64));
  }
  return std::nullopt;
}

/// No token goes on from here: an answer that is whole is over, another one cannot be finished.
void EngineImpl::end_without_choice(Sequence& sequence, TokenEvent& event) {
  if (sequence.matcher && sequence.matcher->may_end()) return end(sequence, event, FinishReason::stop);
  event.error = Error{Errc::invalid_argument, sequence.matcher
                                                  ? "the grammar allows no token of the vocabulary to follow"
                                                  : "allowed_token_ids, bad_words and min_tokens leave no token to follow"};
  end(sequence, event, FinishReason::error);
}

}  // namespace troupe::engine
