#include "services/gateway/answer_format.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

std::string_view reason_text(FinishReason reason) {
  switch (reason) {
    case FinishReason::none:
      return "null";
    case FinishReason::length:
      return "\"length\"";
    default:
      return "\"stop\"";
  }
}

void append_usage(std::string& out, const Usage& usage) {
  out += "{\"prompt_tokens\":";
  append_number(out, usage.prompt_tokens);
  out += ",\"completion_tokens\":";
  append_number(out, usage.completion_tokens);
  out += ",\"total_tokens\":";
  append_number(out, usage.prompt_tokens + usage.completion_tokens);
  out += ",\"prompt_tokens_details\":{\"cached_tokens\":";
  append_number(out, usage.cached_tokens);
  out += '}';
  if (usage.drafts.drafted > 0) {
    out += ",\"completion_tokens_details\":{\"accepted_prediction_tokens\":";
    append_number(out, usage.drafts.accepted);
    out += ",\"rejected_prediction_tokens\":";
    append_number(out, usage.drafts.drafted - usage.drafts.accepted);
    out += '}';
  }
  out += '}';
}

void append_extras(std::string& out, const ChoiceExtras& extras) {
  if (extras.ids == nullptr && !extras.score) return;
  out += ",\"troupe\":{";
  if (extras.ids != nullptr) {
    out += "\"token_ids\":[";
    for (std::size_t i = 0; i < extras.ids->size(); ++i) {
      if (i != 0) out += ',';
      out += std::to_string((*extras.ids)[i]);
    }
    out += ']';
  }
  if (extras.score) {
    out += extras.ids != nullptr ? ",\"score\":" : "\"score\":";
    append_real(out, *extras.score);
  }
  out += '}';
}

void append_lossy(std::string& out, const AnswerFormat::Options& options) {
  std::vector<std::string_view> names;
  if (options.lossy_pages) names.emplace_back("kv-int8");
  if (options.converted_pages) names.emplace_back("kv-convert");
  if (!options.search.empty()) names.emplace_back(options.search);
  if (names.empty()) return;
  out += ",\"lossy\":[";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) out += ',';
    append_quoted(out, names[i]);
  }
  out += ']';
}

std::string make_head(const AnswerFormat::Options& options, std::string_view object) {
  std::string out = "{\"id\":\"";
  out += options.chat ? "chatcmpl-" : "cmpl-";
  out += options.id;
  out += "\",\"object\":\"";
  out += object;
  out += "\",\"created\":";
  out += std::to_string(options.created);
  out += ",\"model\":";
  append_quoted(out, options.model);
  out += ",\"system_fingerprint\":";
  append_quoted(out, options.fingerprint);
  append_lossy(out, options);
  out += ",\"choices\":[";
  return out;
}

}  // namespace

AnswerFormat::AnswerFormat(std::shared_ptr<const Tokenizer> tokenizer, Options options)
    : tokenizer_(std::move(tokenizer)), options_(std::move(options)) {
  event_tail_ = options_.include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
  make_heads();
}

void AnswerFormat::make_heads() {
  event_head_ = "data: " + make_head(options_, options_.chat ? "chat.completion.chunk" : "text_completion");
  whole_head_ = make_head(options_, options_.chat ? "chat.completion" : "text_completion");
}

void AnswerFormat::say_converted() {
  if (std::exchange(options_.converted_pages, true)) return;
  make_heads();
}

void AnswerFormat::begin_event(std::string& out, std::size_t choice) const {
  out += event_head_;
  out += "{\"index\":";
  append_number(out, choice);
}

void AnswerFormat::end_event(std::string& out, FinishReason reason, const ChoiceExtras& extras) const {
  out += ",\"finish_reason\":";
  out += reason_text(reason);
  append_extras(out, extras);
  out += '}';
  out += event_tail_;
}

void AnswerFormat::role_event(std::string& out, std::size_t choice) const {
  begin_event(out, choice);
  out += ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null";
  end_event(out, FinishReason::none, {});
}

void AnswerFormat::delta_event(std::string& out, std::size_t choice, const TextDelta& delta) const {
  begin_event(out, choice);
  out += options_.chat ? ",\"delta\":{\"content\":" : ",\"text\":";
  append_quoted(out, delta.text);
  out += options_.chat ? "},\"logprobs\":" : ",\"logprobs\":";
  logprobs(out, delta.tokens);
  end_event(out, FinishReason::none, {});
}

void AnswerFormat::finish_event(std::string& out, std::size_t choice, FinishReason reason,
                                const ChoiceExtras& extras) const {
  begin_event(out, choice);
  out += options_.chat ? ",\"delta\":{},\"logprobs\":null" : ",\"text\":\"\",\"logprobs\":null";
  end_event(out, reason, extras);
}

void AnswerFormat::usage_event(std::string& out, const Usage& usage) const {
  out += event_head_;
  out += "],\"usage\":";
  append_usage(out, usage);
  out += "}\n\n";
}

void AnswerFormat::error_event(std::string& out, const ApiError& error) {
  out += "data: ";
  out += to_json(error);
  out += "\n\n";
}

void AnswerFormat::done_event(std::string& out) {
  out += "data: [DONE]\n\n";
}

std::string AnswerFormat::whole(const std::vector<ChoiceResult>& choices, const Usage& usage) const {
  std::string out = whole_head_;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const ChoiceResult& choice = choices[i];
    if (i != 0) out += ',';
    out += "{\"index\":";
    append_number(out, i);
    out += options_.chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"text\":";
    append_quoted(out, choice.all.text);
    out += options_.chat ? ",\"refusal\":null},\"logprobs\":" : ",\"logprobs\":";
    logprobs(out, choice.all.tokens);
    out += ",\"finish_reason\":";
    out += reason_text(choice.reason);
    append_extras(out, choice.extras);
    out += '}';
  }
  out += "],\"usage\":";
  append_usage(out, usage);
  out += '}';
  return out;
}

std::string AnswerFormat::token_label(TokenId token) const {
  std::string bytes = tokenizer_->token_bytes(token, true);
  if (!invalid_utf8_at(bytes)) return bytes;
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = options_.chat ? "" : "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

void AnswerFormat::logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const {
  if (!options_.logprobs) {
    out += "null";
  } else if (options_.chat) {
    chat_logprobs(out, tokens);
  } else {
    completion_logprobs(out, tokens);
  }
}

void AnswerFormat::scored_token(std::string& out, TokenId token, float logprob) const {
  out += "{\"token\":";
  append_quoted(out, token_label(token));
  out += ",\"logprob\":";
  append_logprob(out, logprob);
  out += ",\"bytes\":";
  append_byte_array(out, tokenizer_->token_bytes(token, true));
}

void AnswerFormat::chat_logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const {
  out += "{\"content\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const GeneratedToken& token = tokens[i].token;
    if (i != 0) out += ',';
    scored_token(out, token.token, token.logprob);
    out += ",\"top_logprobs\":[";
    for (std::size_t j = 0; j < token.top.size(); ++j) {
      if (j != 0) out += ',';
      scored_token(out, token.top[j].token, token.top[j].logprob);
      out += '}';
    }
    out += "]}";
  }
  out += "],\"refusal\":null}";
}

void AnswerFormat::completion_logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const {
  std::string scores, alternatives, offsets;
  out += "{\"tokens\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const GeneratedToken& token = tokens[i].token;
    if (i != 0) {
      for (std::string* list : {&out, &scores, &alternatives, &offsets}) *list += ',';
    }
    append_quoted(out, token_label(token.token));
    append_number(offsets, tokens[i].characters_before);
    if (!tokens[i].scored) {
      scores += "null";
      alternatives += "null";
      continue;
    }
    append_logprob(scores, token.logprob);
    // The chosen token is always among its alternatives, as in OpenAI's answers; a label seen before is left
    // out, keys are unique.
    std::vector<std::string> labels;
    const auto add = [&](TokenId id, float logprob) {
      std::string label = token_label(id);
      if (std::ranges::find(labels, label) != labels.end()) return;
      alternatives += labels.empty() ? "{" : ",";
      append_quoted(alternatives, label);
      alternatives += ':';
      append_logprob(alternatives, logprob);
      labels.push_back(std::move(label));
    };
    for (const TokenLogprob& other : token.top) add(other.token, other.logprob);
    add(token.token, token.logprob);
    alternatives += '}';
  }
  out += "],\"token_logprobs\":[" + scores + "],\"top_logprobs\":[" + alternatives + "],\"text_offset\":[" +
         offsets + "]}";
}

}  // namespace troupe::gateway
