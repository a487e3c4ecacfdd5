#include "services/gateway/chat_input.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "services/gateway/answer_reader.hpp"
#include "services/gateway/messages.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

Parsed<void> read_documents(const Json& list, Json& out) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = "documents[" + std::to_string(i) + "]";
    if (!list[i].is_object())
      return refuse("invalid_type", path, path + ": expected an object, found " + describe(list[i]));
  }
  out = list;
  return {};
}

Parsed<void> read_kwargs(const Json& given, Json& out) {
  constexpr std::array<std::string_view, 6> kOwn{
      "messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"};
  for (const auto& [name, value] : given.items()) {
    const std::string path = "chat_template_kwargs." + name;
    if (std::ranges::find(kOwn, name) != kOwn.end())
      return refuse("invalid_value", path, path + ": it is set by the request itself");
  }
  out = given;
  return {};
}

/// A value of `known`, or an error that lists them.
Parsed<std::string> read_word(const Json& value, std::string_view name,
                              std::span<const std::string_view> known) {
  auto word = value.get<std::string>();
  if (std::ranges::find(known, word) != known.end()) return word;
  std::string list;
  for (const std::string_view one : known) list += (list.empty() ? "" : ", ") + std::string(one);
  return refuse("invalid_value", std::string(name), std::string(name) + ": expected one of " + list);
}

/// Templates that know efforts have variables of these names, those that can do without reasoning one that
/// says so. What the client says of a variable itself stands.
Parsed<void> read_effort(const Json& object, Json& kwargs) {
  constexpr std::array<std::string_view, 6> kEfforts{"none", "minimal", "low", "medium", "high", "xhigh"};
  constexpr std::array<std::string_view, 3> kVerbosities{"low", "medium", "high"};
  if (const Json* effort = find_value(object, "reasoning_effort")) {
    auto word = read_word(*effort, "reasoning_effort", kEfforts);
    if (!word) return tl::unexpected<ApiError>(std::move(word.error()));
    const bool none = *word == "none";
    const std::string name = none ? "enable_thinking" : "reasoning_effort";
    if (!kwargs.contains(name)) kwargs[name] = none ? Json(false) : Json(std::move(*word));
  }
  if (const Json* verbosity = find_value(object, "verbosity")) {
    auto word = read_word(*verbosity, "verbosity", kVerbosities);
    if (!word) return tl::unexpected<ApiError>(std::move(word.error()));
    if (!kwargs.contains("verbosity")) kwargs["verbosity"] = std::move(*word);
  }
  return {};
}

/// As vLLM has it, but the prompt for another message need not be declined beside it.
Parsed<void> read_continuation(const Json& object, ChatInput& out) {
  const Json* continues = find_value(object, "continue_final_message");
  if (continues == nullptr || !continues->get<bool>()) return {};
  const std::string name = "continue_final_message";
  const Json* prompted = find_value(object, "add_generation_prompt");
  if (prompted != nullptr && prompted->get<bool>())
    return refuse("invalid_value", name,
                  name + ": does not go with add_generation_prompt, which begins another message");
  const Json& last = out.messages.back();
  if (last["role"] != "assistant" || last.contains("tool_calls") || last["content"] == "")
    return refuse("invalid_value", name, name + ": the last message must be a text of the assistant");
  out.continues = true;
  out.add_generation_prompt = false;
  return {};
}

std::string tool_text(const Json& tools) {
  std::string out =
      "You may call functions to answer the user. Each line between <tools> and </tools> describes one as "
      "JSON:\n<tools>\n";
  for (const Json& tool : tools) out += tool.dump() + "\n";
  return out +
         "</tools>\nTo call a function, write its name and its arguments as one JSON object between "
         "<tool_call> and "
         "</tool_call>:\n<tool_call>\n{\"name\": \"the function's name\", \"arguments\": {\"its\": "
         "\"arguments\"}}\n</tool_call>\n"
         "Write one such block for each call. What a call gave comes back between <tool_response> and "
         "</tool_response>.";
}

void show_tools(const Json& tools, Json& messages) {
  if (tools.empty()) return;
  const std::string text = tool_text(tools);
  if (!messages.empty() && messages[0]["role"] == "system") {
    const auto own = messages[0]["content"].get<std::string>();
    messages[0]["content"] = own.empty() ? text : own + "\n\n" + text;
    return;
  }
  messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
}

std::string call_texts(const Json& message) {
  auto out = message["content"].get<std::string>();
  for (const Json& call : message["tool_calls"]) {
    if (!out.empty()) out += '\n';
    const Json& function = call["function"];
    out += "<tool_call>\n{\"name\": " + function["name"].dump() +
           ", \"arguments\": " + function["arguments"].dump() + "}\n</tool_call>";
  }
  return out;
}

/// Roles that any template knows, and results side by side in one message: many templates want users and
/// assistants to take turns.
Json plain_messages(const Json& messages) {
  Json out = Json::array();
  bool results = false;  // the last message holds some
  for (const Json& message : messages) {
    const bool result = message["role"] == "tool";
    if (result) {
      const std::string text =
          "<tool_response>\n" + message["content"].get<std::string>() + "\n</tool_response>";
      if (results) {
        out.back()["content"] = out.back()["content"].get<std::string>() + "\n" + text;
      } else {
        out.push_back(Json{{"role", "user"}, {"content", text}});
      }
    } else if (message.contains("tool_calls")) {
      Json plain = message;
      plain["content"] = call_texts(message);
      plain.erase("tool_calls");
      out.push_back(std::move(plain));
    } else {
      out.push_back(message);
    }
    results = result;
  }
  return out;
}

}  // namespace

Parsed<ChatInput> read_chat_input(const Json& object) {
  ChatInput out;
  const Json* messages = find_value(object, "messages");
  if (messages == nullptr) return refuse("missing_required_parameter", "messages", "messages is required");
  auto read = read_messages(*messages);
  if (!read) return tl::unexpected<ApiError>(std::move(read.error()));
  out.messages = std::move(*read);
  const Json* prompted = find_value(object, "add_generation_prompt");
  out.add_generation_prompt = prompted == nullptr || prompted->get<bool>();
  Parsed<void> status;
  if (const Json* documents = find_value(object, "documents"))
    status = read_documents(*documents, out.documents);
  if (const Json* kwargs = find_value(object, "chat_template_kwargs"); status && kwargs != nullptr)
    status = read_kwargs(*kwargs, out.kwargs);
  if (status) status = read_effort(object, out.kwargs);
  if (status) status = read_continuation(object, out);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  return out;
}

bool leaves_reasoning_open(const Json& message) {
  const auto& text = message["content"].get_ref<const std::string&>();
  const auto begin = text.rfind(kThinkBegin), end = text.rfind(kThinkEnd);
  return begin != std::string::npos && (end == std::string::npos || end < begin);
}

Parsed<ChatInput> fit_to_template(ChatInput input, const ChatTemplate& chat_template) {
  if (!input.documents.empty() && !chat_template.mentions("documents"))
    return refuse("unsupported_parameter", "documents",
                  "documents: this model's template does not show them");
  if (chat_template.mentions("tools")) return input;
  input.messages = plain_messages(input.messages);
  show_tools(std::exchange(input.tools, Json::array()), input.messages);
  return input;
}

}  // namespace troupe::gateway
