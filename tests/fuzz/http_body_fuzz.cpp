// Any bytes as the body of a chat, completions, tokenize or detokenize request, or of one of Anthropic's or Ollama's: they
// parse or are refused with a 4xx, a code and valid JSON; what parses keeps its promises to the code behind it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "services/gateway/anthropic/message_errors.hpp"
#include "services/gateway/anthropic/message_request.hpp"
#include "services/gateway/generate_request.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/ollama/line_writer.hpp"
#include "services/gateway/ollama/run_request.hpp"

namespace {

using namespace troupe::gateway;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_error(const ApiError& error) {
  require(error.status >= 400 && error.status < 500);
  require(!error.code.empty() && !error.message.empty());
  require(!invalid_utf8_at(to_json(error)));
  require(Json::accept(to_json(error)));
  require(Json::accept(anthropic::error_json(error)));
  require(Json::accept(ollama::error_json(error)));
}

void check_request(const GenerateRequest& request, const RequestLimits& limits) {
  require(request.choices >= 1 && request.choices <= limits.max_choices);
  require(request.told >= 1 && request.told <= request.choices);
  require(request.alternatives <= request.sampling.logprobs);
  for (const auto id : request.rules.allowed) require(id >= 0);
  for (const auto& word : request.bad_words) require(!word.empty());
  for (const auto& breaker : request.dry_breakers) require(!breaker.empty());
  require(request.stop.size() <= limits.max_stop_strings);
  for (const auto& stop : request.stop) require(!stop.empty() && stop.size() <= limits.max_stop_bytes);
  require(request.sampling.temperature >= 0 && request.sampling.temperature <= 2);
  require(request.sampling.logprobs <= 20);
  require(request.text_prompts.size() <= limits.max_prompts && request.token_prompts.size() <= limits.max_prompts);
  for (const auto& prompt : request.token_prompts) {
    require(!prompt.empty());
    for (const auto id : prompt) require(id >= 0);
  }
  if (!request.chat) {
    require(request.text_prompts.empty() != request.token_prompts.empty());
    return;
  }
  const Json& messages = request.input.messages;
  require(messages.is_array() && !messages.empty());
  for (const Json& message : messages) {
    require(message.at("role").is_string());
    require(message.at("content").is_string() || message.contains("tool_calls"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const RequestLimits limits;
  for (const auto parse : {parse_chat, parse_completion}) {
    const auto request = parse(body, limits);
    request ? check_request(*request, limits) : check_error(request.error());
  }
  if (const auto request = parse_tokenize(body); !request) check_error(request.error());
  if (const auto request = parse_detokenize(body); !request) check_error(request.error());
  const auto message = anthropic::parse_message(body, limits);
  message ? check_request(message->request, limits) : check_error(message.error());
  for (const auto parse : {ollama::parse_chat_run, ollama::parse_generate_run}) {
    const auto run = parse(body, limits);
    if (!run) check_error(run.error());
    if (run && !run->only_loads) check_request(run->request, limits);
  }
  return 0;
}
