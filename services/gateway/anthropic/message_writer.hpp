#pragma once
// Answers of /v1/messages: content in blocks, each of text, thinking or a call of a tool.
#include "services/gateway/answer_writer.hpp"

namespace troupe::gateway::anthropic {

struct WriterOptions {
  bool shows_thinking = true;
  bool one_call = false;  ///< calls behind the first are left out
};

[[nodiscard]] std::unique_ptr<AnswerWriter> message_writer(WriterOptions options, AnswerHead head);

}  // namespace troupe::gateway::anthropic
