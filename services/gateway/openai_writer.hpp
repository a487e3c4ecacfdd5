#pragma once
// Answers of /v1/chat/completions and /v1/completions.
#include "services/gateway/answer_writer.hpp"
#include "services/gateway/generate_request.hpp"

namespace troupe::gateway {

/// `drafted`: each token says whether it was drafted. Reads `request` now and keeps nothing of it.
[[nodiscard]] std::unique_ptr<AnswerWriter> openai_writer(const GenerateRequest& request, bool drafted,
                                                          AnswerHead head);

}  // namespace troupe::gateway
