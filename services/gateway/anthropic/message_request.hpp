#pragma once
// The body of Anthropic's /v1/messages and /v1/messages/count_tokens, told as a chat of ours and read by its
// parser: what a chat can be asked for is decided in one place.
#include <string_view>

#include "services/gateway/generate_request.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::anthropic {

struct MessageRequest {
  GenerateRequest request;
  bool shows_thinking = true;  ///< false: thinking.display is "omitted"
  bool one_call = false;       ///< tool_choice.disable_parallel_tool_use
};

/// Errors: as parse_chat's, with this API's names of fields.
[[nodiscard]] Parsed<MessageRequest> parse_message(std::string_view body, const RequestLimits& limits = {});
/// What count_tokens counts: of the request only `model` and `input` are of use. Errors: the same.
[[nodiscard]] Parsed<GenerateRequest> parse_count(std::string_view body, const RequestLimits& limits = {});

enum class Purpose : std::uint8_t { answer, count };
/// The body of /v1/chat/completions that asks for the same. `body` is an object. Errors: those of shape, of
/// what cannot be told so (images, tools that run at the server, an answer that goes on in the assistant's
/// last message).
[[nodiscard]] Parsed<Json> to_chat(const Json& body, Purpose purpose);

}  // namespace troupe::gateway::anthropic
