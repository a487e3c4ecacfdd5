#pragma once
// Every JSON field of Anthropic's requests, once: who takes it, its type, and what becomes of it.
#include <span>

#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway::anthropic {

inline constexpr Endpoints kMessages = 1, kCountTokens = 2, kMessage = 4, kTextBlock = 8, kToolUse = 16,
                           kToolResult = 32, kTool = 64, kToolChoice = 128, kThinking = 256, kOutput = 512,
                           kFormat = 1024, kMetadata = 2048;

[[nodiscard]] std::span<const Field> message_fields();

/// check_fields() against this table.
[[nodiscard]] inline Parsed<void> check(const Json& object, Endpoints where, const std::string& path) {
  return check_fields(message_fields(), object, where, path);
}

}  // namespace troupe::gateway::anthropic
