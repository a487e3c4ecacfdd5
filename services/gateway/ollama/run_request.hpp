#pragma once
// The bodies of Ollama's /api/chat and /api/generate, told as a chat or a completion of ours and read by
// their parsers.
#include <cstdint>
#include <string>
#include <string_view>

#include "services/gateway/generate_request.hpp"

namespace troupe::gateway::ollama {

struct RunRequest {
  GenerateRequest request;  ///< nothing but the model when it only loads
  bool chat = false;        ///< /api/chat: the answer is a message
  bool only_loads = false;  ///< nothing to answer: the client wants the model to be there
  bool wants_thinking = false;
  std::uint32_t context = 0;  ///< num_ctx; 0: not given
};

/// Errors: as parse_chat's, with this API's names of fields.
[[nodiscard]] Parsed<RunRequest> parse_chat_run(std::string_view body, const RequestLimits& limits = {});
[[nodiscard]] Parsed<RunRequest> parse_generate_run(std::string_view body, const RequestLimits& limits = {});

/// `model` of a body that asks about one; `name` is its older spelling.
[[nodiscard]] Parsed<std::string> parse_model_name(std::string_view body);

}  // namespace troupe::gateway::ollama
