#pragma once
// Anthropic's messages, whose content is blocks, as those of a chat: results of tools become messages of
// their own, calls become a part of the assistant's.
#include <string>
#include <vector>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::anthropic {

/// Text of a string or of text blocks, which are joined by newlines. Errors: unsupported_parameter for other
/// blocks.
[[nodiscard]] Parsed<std::string> read_text(const Json& content, const std::string& path);

/// Takes messages in order. Those that follow each other in one role are one message, as the API has it.
class ChatMessages {
 public:
  void system(std::string text);
  /// Errors: as the request parsers'; invalid_value where results and calls do not belong together.
  [[nodiscard]] Parsed<void> add(const Json& message, const std::string& path);
  /// As /v1/chat/completions takes them. Errors: unsupported_parameter when the assistant's message is the
  /// last one, which this API would go on with.
  [[nodiscard]] Parsed<Json> take();

 private:
  [[nodiscard]] Parsed<void> add_block(const std::string& role, const Json& block, const std::string& path);
  [[nodiscard]] Parsed<void> add_call(const Json& block, const std::string& path);
  [[nodiscard]] Parsed<void> add_result(const Json& block, const std::string& path);
  [[nodiscard]] Parsed<void> add_text(const std::string& role, const Json& block, const std::string& path);
  [[nodiscard]] Parsed<void> add_thinking(const Json& block, const std::string& path);
  [[nodiscard]] Parsed<void> check_answered(const std::string& path) const;
  Json& message_of(const std::string& role);

  Json messages_ = Json::array();
  std::vector<std::string> open_calls_;  ///< of the last assistant's message, without a result
};

}  // namespace troupe::gateway::anthropic
