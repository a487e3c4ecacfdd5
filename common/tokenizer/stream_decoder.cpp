#include "common/tokenizer/tokenizer.hpp"
#include "common/tokenizer/utf8.hpp"

namespace troupe {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool show_special, bool starts_text)
    : tokenizer_(std::move(tokenizer)), show_special_(show_special) {
  first_ = starts_text && tokenizer_->adds_space_prefix();
}

std::string StreamDecoder::push(TokenId token) {
  const std::string bytes = tokenizer_->token_bytes(token, show_special_);
  if (bytes.empty()) return {};
  pending_ += first_ && bytes.front() == ' ' ? bytes.substr(1) : bytes;
  first_ = false;
  std::string ready;
  utf8::drain(pending_, ready);
  return ready;
}

std::string StreamDecoder::flush() {
  std::string rest = utf8::with_replacements(pending_);
  pending_.clear();
  return rest;
}

}  // namespace troupe
