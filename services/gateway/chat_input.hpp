#pragma once
// What a chat template is given, and how tools are shown where a template has no place for them.
#include "common/template/chat_template.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

struct ChatInput {
  Json messages;  ///< of read_messages
  bool add_generation_prompt = true;
  bool continues = false;      ///< the answer goes on with the last message, which the template leaves open
  Json tools = Json::array();  ///< as OpenAI has them
  Json documents = Json::array();  ///< objects
  Json kwargs = Json::object();    ///< further variables of the template
};

/// messages, add_generation_prompt, continue_final_message, documents, chat_template_kwargs of a request, and
/// what becomes variables of the template, reasoning_effort and verbosity; `tools` is left empty. Errors: as
/// the request parsers'.
[[nodiscard]] Parsed<ChatInput> read_chat_input(const Json& object);

/// A message whose text has a <think> that is not closed.
[[nodiscard]] bool leaves_reasoning_open(const Json& message);

/// The same for a template that shows no tools: a system text lists them and says how a call is written (as
/// Hermes models are taught), calls and their results become texts of the assistant's and the user's
/// messages. Unchanged where the template reads `tools`. Errors: unsupported_parameter for documents that the
/// template does not show.
[[nodiscard]] Parsed<ChatInput> fit_to_template(ChatInput input, const ChatTemplate& chat_template);

}  // namespace troupe::gateway
