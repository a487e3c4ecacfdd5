#pragma once
// Answers of /api/chat and /api/generate: one JSON object, or one a line while it is made (NDJSON).
#include <chrono>
#include <functional>
#include <string>

#include "services/gateway/answer_writer.hpp"

namespace troupe::gateway::ollama {

struct LineOptions {
  bool chat = false;  ///< a message; else `response`
  bool logprobs = false;
  std::string model;  ///< as the client named it
  /// When a line is made.
  std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
};

/// A call is told when it is whole: its arguments are an object. Of those of an answer that was cut in a call
/// nothing is told but its name.
[[nodiscard]] std::unique_ptr<AnswerWriter> line_writer(LineOptions options, AnswerHead head);

/// The answer to a request that only wants its model to be there.
[[nodiscard]] std::string loaded_answer(const LineOptions& options);

/// {"error":"..."}
[[nodiscard]] std::string error_json(const ApiError& error);
[[nodiscard]] Response error_response(const ApiError& error);

}  // namespace troupe::gateway::ollama
