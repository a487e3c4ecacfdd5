#pragma once
// Every JSON field of Ollama's requests that is known here, once. What is not known is ignored, as Ollama
// does.
#include <span>
#include <string>

#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway::ollama {

inline constexpr Endpoints kChatRun = 1, kGenerateRun = 2, kOptions = 4, kRunMessage = 8, kRunCall = 16,
                           kRunFunction = 32, kNamed = 64;

[[nodiscard]] std::span<const Field> run_fields();

/// check_fields() against this table.
[[nodiscard]] inline Parsed<void> check(const Json& object, Endpoints where, const std::string& path) {
  return check_fields(run_fields(), object, where, path, UnknownKeys::ignored);
}

}  // namespace troupe::gateway::ollama
