#pragma once
// Ollama's messages, whose calls have no ids and whose results name the tool, as those of a chat.
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::ollama {

/// As /v1/chat/completions takes them. A result without an id belongs to the first call of its tool that
/// waits for one, or of any tool when it names none. Errors: as the request parsers'.
[[nodiscard]] Parsed<Json> read_run_messages(const Json& messages);

}  // namespace troupe::gateway::ollama
