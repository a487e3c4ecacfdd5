#pragma once
// Every JSON field that /v1/responses has beyond a chat's, once.
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway::responses {

/// Objects that take a field; a sum.
inline constexpr Endpoints kResponse = 1, kText = 2, kTextFormat = 4, kTool = 8, kToolChoice = 16,
                           kReasoning = 32, kStreamOptions = 64, kMessage = 128, kTextPart = 256, kCall = 512,
                           kCallOutput = 1024, kReasoningItem = 2048, kReference = 4096;

[[nodiscard]] std::span<const Field> fields();
[[nodiscard]] Parsed<void> check(const Json& object, Endpoints where, std::string_view path);
/// Whether a request may have this field of a chat's, with its meaning there: further ways to draw and to
/// hold answers, troupe.
[[nodiscard]] bool is_chat_field(std::string_view name);
/// Whether a request has it itself.
[[nodiscard]] bool is_own_field(std::string_view name);

}  // namespace troupe::gateway::responses
