#pragma once
// From a parsed request to token ids and settled lengths. Runs on the text pool.
#include <memory>

#include "services/gateway/generate_run.hpp"

namespace troupe::gateway {

/// Errors: no_chat_template, template_failed, context_length_exceeded with both numbers, invalid_value for
/// ids outside the vocabulary.
[[nodiscard]] Parsed<PreparedRun> prepare(GenerateRequest request, std::shared_ptr<const ModelText> model,
                                          ServedModel served);

/// A chat as a model's template writes it. Errors: no_chat_template, template_failed, unsupported_parameter.
[[nodiscard]] Parsed<std::vector<TokenId>> chat_tokens(ChatInput input, const ModelText& model);

/// Errors: invalid_value naming the first id outside the vocabulary.
[[nodiscard]] Parsed<void> check_ids(const std::vector<TokenId>& ids, const Tokenizer& tokenizer,
                                     std::string_view param);

}  // namespace troupe::gateway
