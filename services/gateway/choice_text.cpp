#include "services/gateway/choice_text.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {

ChoiceText::ChoiceText(std::shared_ptr<const Tokenizer> tokenizer, Options options)
    : tokenizer_(std::move(tokenizer)),
      options_(std::move(options)),
      decoder_(tokenizer_, options_.show_special, options_.starts_text),
      stops_(options_.stop, options_.include_stop),
      reader_(options_.reader) {}

bool ChoiceText::ends_answer(TokenId token) const {
  return std::ranges::find(options_.end_tokens, token) != options_.end_tokens.end();
}

bool ChoiceText::shows_end(TokenId token) const {
  return options_.include_stop && !tokenizer_->token_bytes(token, options_.show_special).empty();
}

double ChoiceText::mean_logprob() const {
  return completion_tokens_ == 0 ? 0.0 : logprobs_ / static_cast<double>(completion_tokens_);
}

TextDelta ChoiceText::push(std::span<const GeneratedToken> tokens, FinishReason finish, std::size_t drafted) {
  TextDelta out;
  for (std::size_t i = 0; i < tokens.size() && !finished(); ++i) {
    if (options_.discard) break;
    const bool is_end =
        finish == FinishReason::stop && i + 1 == tokens.size() && ends_answer(tokens[i].token);
    ++completion_tokens_;
    logprobs_ += static_cast<double>(tokens[i].logprob);
    if (options_.keep_ids) ids_.push_back(tokens[i].token);
    if (!is_end || shows_end(tokens[i].token)) push_token(tokens[i], i < drafted, out);
  }
  if (!finished() && finish != FinishReason::none)
    finish_with(options_.discard ? FinishReason::length : finish, out);
  return out;
}

std::string ChoiceText::text_of(TokenId token) {
  if (std::ranges::find(options_.shown, token) == options_.shown.end()) return decoder_.push(token);
  return decoder_.flush() + std::string(tokenizer_->token_text(token));
}

void ChoiceText::push_token(const GeneratedToken& token, bool drafted, TextDelta& out) {
  const std::string text = text_of(token.token);
  const bool reasoned = reader_.reasoning();
  if (options_.keep_tokens) waiting_.push_back({token, decoded_bytes_, decoded_characters_, drafted});
  decoded_bytes_ += text.size();
  if (options_.keep_tokens) decoded_characters_ += count_characters(text);
  let_out(completion_tokens_ <= options_.min_tokens ? text : stops_.push(text), out);
  if (reasoned || reader_.reasoning()) ++reasoning_tokens_;
  if (stops_.matched()) {
    reason_ = FinishReason::stop;
    waiting_.clear();  // they begin at or behind the cut
    reader_.finish(out);
  }
}

PlacedToken ChoiceText::placed(Waiting&& token) const {
  return {std::move(token.token), options_.characters_before + token.begin_characters, true, token.drafted};
}

// A token goes out with the first byte of its text. One that begins where the shown text ends waits, since a
// stop string that begins there too would take it away again.
void ChoiceText::let_out(std::string_view text, TextDelta& out) {
  shown_bytes_ += text.size();
  reader_.push(text, out);
  std::size_t ready = 0;
  while (ready < waiting_.size() && waiting_[ready].begin_bytes < shown_bytes_) ++ready;
  for (std::size_t i = 0; i < ready; ++i) out.tokens.push_back(placed(std::move(waiting_[i])));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(ready));
}

void ChoiceText::finish_with(FinishReason reason, TextDelta& out) {
  const std::string rest = decoder_.flush();
  decoded_bytes_ += rest.size();
  let_out(stops_.push(rest), out);
  if (stops_.matched()) {
    reason_ = FinishReason::stop;
    waiting_.clear();
    return reader_.finish(out);
  }
  let_out(stops_.flush(), out);
  for (Waiting& token : waiting_) out.tokens.push_back(placed(std::move(token)));
  waiting_.clear();
  reason_ = reason;
  reader_.finish(out);
}

}  // namespace troupe::gateway
