#include "services/gateway/answer_format.hpp"

#include <algorithm>
#include <utility>

#include "common/base/hash.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

std::string_view reason_text(ChoiceEnd end) {
  switch (end.reason) {
    case FinishReason::none:
      return "null";
    case FinishReason::length:
      return "\"length\"";
    default:
      return end.called ? "\"tool_calls\"" : "\"stop\"";
  }
}

void append_details(std::string& out, const Usage& usage) {
  if (usage.drafts.drafted == 0 && usage.reasoning_tokens == 0) return;
  out += ",\"completion_tokens_details\":{";
  if (usage.reasoning_tokens > 0) {
    out += "\"reasoning_tokens\":";
    append_number(out, usage.reasoning_tokens);
    if (usage.drafts.drafted > 0) out += ',';
  }
  if (usage.drafts.drafted > 0) {
    out += "\"accepted_prediction_tokens\":";
    append_number(out, usage.drafts.accepted);
    out += ",\"rejected_prediction_tokens\":";
    append_number(out, usage.drafts.drafted - usage.drafts.accepted);
  }
  out += '}';
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
  append_details(out, usage);
  out += '}';
}

/// `placed`: tell which of them were drafted; null: do not.
void append_extras(std::string& out, const ChoiceExtras& extras, const std::vector<PlacedToken>* placed) {
  if (extras.ids == nullptr && !extras.score && placed == nullptr) return;
  out += ",\"troupe\":{";
  const char* comma = "";
  if (placed != nullptr) {
    out += "\"drafted\":[";
    for (std::size_t i = 0; i < placed->size(); ++i) {
      if (i != 0) out += ',';
      out += (*placed)[i].drafted ? "true" : "false";
    }
    out += ']';
    comma = ",";
  }
  if (extras.ids != nullptr) {
    out += comma;
    out += "\"token_ids\":[";
    for (std::size_t i = 0; i < extras.ids->size(); ++i) {
      if (i != 0) out += ',';
      out += std::to_string((*extras.ids)[i]);
    }
    out += ']';
    comma = ",";
  }
  if (extras.score) {
    out += comma;
    out += "\"score\":";
    append_real(out, *extras.score);
  }
  out += '}';
}

void append_prompt_logprobs(std::string& out, const ChoiceResult& choice) {
  if (choice.prompt_logprobs == nullptr) return;
  out += ",\"prompt_logprobs\":";
  out += *choice.prompt_logprobs;
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
  if (!options.service_tier.empty()) {
    out += ",\"service_tier\":";
    append_quoted(out, options.service_tier);
  }
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

void AnswerFormat::end_event(std::string& out, ChoiceEnd end, const ChoiceExtras& extras,
                             const std::vector<PlacedToken>* placed) const {
  out += ",\"finish_reason\":";
  out += reason_text(end);
  append_extras(out, extras, placed);
  out += '}';
  out += event_tail_;
}

void AnswerFormat::role_event(std::string& out, std::size_t choice) const {
  begin_event(out, choice);
  out += ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null";
  end_event(out, {}, {});
}

void AnswerFormat::delta_event(std::string& out, std::size_t choice, const TextDelta& delta) const {
  begin_event(out, choice);
  if (options_.chat) {
    chat_delta(out, choice, delta);
  } else {
    out += ",\"text\":";
    append_quoted(out, delta.text);
  }
  out += ",\"logprobs\":";
  logprobs(out, delta.tokens);
  end_event(out, {}, {}, options_.drafted ? &delta.tokens : nullptr);
}

/// What every piece of a call and a whole one begin with.
void AnswerFormat::call_head(std::string& out, std::size_t choice, const CallDelta& call) const {
  // Of what every gateway knows that makes this answer, so a stream that is taken up elsewhere names them
  // alike.
  const auto id =
      Hasher().text("call").text(options_.id).number(choice).number(call.index).finish<RequestId>();
  out += "\"id\":\"call_";
  out += to_hex(id).substr(0, 24);
  out += "\",\"type\":\"function\",\"function\":{\"name\":";
  append_quoted(out, call.name);
  out += ',';
}

void AnswerFormat::chat_delta(std::string& out, std::size_t choice, const TextDelta& delta) const {
  out += ",\"delta\":{";
  const char* comma = "";
  if (!delta.reasoning.empty()) {
    out += "\"reasoning_content\":";
    append_quoted(out, delta.reasoning);
    comma = ",";
  }
  if (!delta.text.empty() || delta.empty()) {
    out += comma;
    out += "\"content\":";
    append_quoted(out, delta.text);
    comma = ",";
  }
  if (!delta.calls.empty()) {
    out += comma;
    out += "\"tool_calls\":[";
    for (std::size_t i = 0; i < delta.calls.size(); ++i) {
      const CallDelta& call = delta.calls[i];
      out += i == 0 ? "{\"index\":" : ",{\"index\":";
      append_number(out, call.index);
      out += ',';
      if (call.name.empty()) {
        out += "\"function\":{";
      } else {
        call_head(out, choice, call);
      }
      out += "\"arguments\":";
      append_quoted(out, call.arguments);
      out += "}}";
    }
    out += ']';
  }
  out += '}';
}

void AnswerFormat::chat_message(std::string& out, std::size_t choice, const TextDelta& all) const {
  out += ",\"message\":{\"role\":\"assistant\",\"content\":";
  if (all.text.empty() && !all.calls.empty()) {
    out += "null";
  } else {
    append_quoted(out, all.text);
  }
  out += ",\"refusal\":null";
  if (!all.reasoning.empty()) {
    out += ",\"reasoning_content\":";
    append_quoted(out, all.reasoning);
  }
  if (!all.calls.empty()) {
    out += ",\"tool_calls\":[";
    for (std::size_t i = 0; i < all.calls.size(); ++i) {
      out += i == 0 ? "{" : ",{";
      call_head(out, choice, all.calls[i]);
      out += "\"arguments\":";
      append_quoted(out, all.calls[i].arguments);
      out += "}}";
    }
    out += ']';
  }
  out += '}';
}

void AnswerFormat::finish_event(std::string& out, std::size_t choice, ChoiceEnd end,
                                const ChoiceExtras& extras) const {
  begin_event(out, choice);
  out += options_.chat ? ",\"delta\":{},\"logprobs\":null" : ",\"text\":\"\",\"logprobs\":null";
  end_event(out, end, extras);
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
    if (options_.chat) {
      chat_message(out, i, choice.all);
    } else {
      out += ",\"text\":";
      append_quoted(out, choice.all.text);
    }
    out += ",\"logprobs\":";
    logprobs(out, choice.all.tokens);
    out += ",\"finish_reason\":";
    out += reason_text({choice.reason, !choice.all.calls.empty()});
    append_extras(out, choice.extras, options_.drafted ? &choice.all.tokens : nullptr);
    if (!options_.chat) append_prompt_logprobs(out, choice);
    out += '}';
  }
  out += ']';
  if (options_.chat && !choices.empty())
    append_prompt_logprobs(out, choices.front());  // as vLLM has it: of the one prompt
  out += ",\"usage\":";
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
  out += "{\"content\":";
  scored_tokens(out, tokens);
  out += ",\"refusal\":null}";
}

void AnswerFormat::scored_tokens(std::string& out, const std::vector<PlacedToken>& tokens) const {
  out += '[';
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
  out += ']';
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
