#include "services/gateway/anthropic/message_request.hpp"

#include <array>
#include <utility>

#include "services/gateway/anthropic/message_content.hpp"
#include "services/gateway/anthropic/message_fields.hpp"
#include "services/gateway/api_words.hpp"

namespace troupe::gateway::anthropic {
namespace {

using Status = Parsed<void>;

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

tl::unexpected<ApiError> refuse_value(const std::string& path, const std::string& what) {
  return refuse("invalid_value", path, path + ": " + what);
}

/// Names of a chat's fields in errors, and what they are called here.
constexpr std::array<Renamed, 5> kNames{
    Renamed{".function.parameters", ".input_schema"},
    Renamed{".function.", "."},
    Renamed{"response_format.json_schema.schema", "output_config.format.schema"},
    Renamed{"stop:", "stop_sequences:"},
    Renamed{"stop[", "stop_sequences["},
};

Status read_messages(const Json& body, Json& chat) {
  const Json* messages = find_value(body, "messages");
  if (messages == nullptr) return missing("messages");
  ChatMessages out;
  if (const Json* system = find_value(body, "system")) {
    auto text = read_text(*system, "system");
    if (!text) return tl::unexpected<ApiError>(std::move(text.error()));
    if (!text->empty()) out.system(std::move(*text));
  }
  for (std::size_t i = 0; i < messages->size(); ++i)
    if (auto added = out.add((*messages)[i], "messages[" + std::to_string(i) + "]"); !added) return added;
  auto taken = out.take();
  if (!taken) return tl::unexpected<ApiError>(std::move(taken.error()));
  chat["messages"] = std::move(*taken);
  return {};
}

Parsed<Json> read_tool(const Json& tool, const std::string& path) {
  if (!tool.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(tool));
  // Before its fields: those of a tool that Anthropic runs are others.
  if (const Json* type = find_value(tool, "type"); type != nullptr && *type != "custom")
    return refuse("unsupported_parameter", path + ".type",
                  path + ".type: only tools that the client runs ('custom') are supported");
  if (auto checked = check(tool, kTool, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  Json function = Json::object();
  for (const char* key : {"name", "description", "strict"})
    if (const Json* value = find_value(tool, key)) function[key] = *value;
  const Json* schema = find_value(tool, "input_schema");
  if (schema == nullptr) return missing(path + ".input_schema");
  function["parameters"] = *schema;
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

Status read_tools(const Json& body, Json& chat) {
  const Json* tools = find_value(body, "tools");
  if (tools == nullptr) return {};
  chat["tools"] = Json::array();
  for (std::size_t i = 0; i < tools->size(); ++i) {
    auto tool = read_tool((*tools)[i], "tools[" + std::to_string(i) + "]");
    if (!tool) return tl::unexpected<ApiError>(std::move(tool.error()));
    chat["tools"].push_back(std::move(*tool));
  }
  return {};
}

Status read_tool_choice(const Json& body, Json& chat) {
  const Json* choice = find_value(body, "tool_choice");
  if (choice == nullptr) return {};
  if (auto checked = check(*choice, kToolChoice, "tool_choice."); !checked) return checked;
  const Json* type = find_value(*choice, "type");
  if (type == nullptr) return missing("tool_choice.type");
  if (*type == "any") {
    chat["tool_choice"] = "required";
  } else if (*type == "tool") {
    const Json* name = find_value(*choice, "name");
    if (name == nullptr) return missing("tool_choice.name");
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", *name}}}};
  } else if (*type == "auto" || *type == "none") {
    chat["tool_choice"] = *type;
  } else {
    return refuse_value("tool_choice.type", "expected one of auto, any, tool, none");
  }
  if (const Json* single = find_value(*choice, "disable_parallel_tool_use"))
    chat["parallel_tool_calls"] = !single->get<bool>();
  return {};
}

// A template decides by `enable_thinking`, where it has a choice; what is thought is told apart in any case.
Status read_thinking(const Json& body, Json& chat) {
  const Json* thinking = find_value(body, "thinking");
  if (thinking == nullptr) return {};
  if (auto checked = check(*thinking, kThinking, "thinking."); !checked) return checked;
  const Json* type = find_value(*thinking, "type");
  if (type == nullptr) return missing("thinking.type");
  if (*type != "enabled" && *type != "adaptive" && *type != "disabled")
    return refuse_value("thinking.type", "expected one of enabled, adaptive, disabled");
  const Json* display = find_value(*thinking, "display");
  if (display != nullptr && *display != "summarized" && *display != "omitted")
    return refuse_value("thinking.display", "expected one of summarized, omitted");
  chat["chat_template_kwargs"] = {{"enable_thinking", *type != "disabled"}};
  return {};
}

Status read_format(const Json& format, const std::string& path, Json& chat) {
  if (auto checked = check(format, kFormat, path + "."); !checked) return checked;
  const Json* type = find_value(format, "type");
  if (type == nullptr) return missing(path + ".type");
  if (*type != "json_schema") return refuse_value(path + ".type", "expected json_schema");
  const Json* schema = find_value(format, "schema");
  if (schema == nullptr) return missing(path + ".schema");
  chat["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"schema", *schema}}}};
  return {};
}

/// `output_format` is the name that the same had in the beta.
Status read_output(const Json& body, Json& chat) {
  if (const Json* format = find_value(body, "output_format"))
    if (auto read = read_format(*format, "output_format", chat); !read) return read;
  const Json* config = find_value(body, "output_config");
  if (config == nullptr) return {};
  if (auto checked = check(*config, kOutput, "output_config."); !checked) return checked;
  const Json* format = find_value(*config, "format");
  return format == nullptr ? Status() : read_format(*format, "output_config.format", chat);
}

Status read_length(const Json& body, Json& chat) {
  const Json* most = find_value(body, "max_tokens");
  if (most == nullptr) return missing("max_tokens");
  // 0 asks for the prompt to be computed, and for no answer; a chat knows no such length.
  if (*most != 0) chat["max_tokens"] = *most;
  return {};
}

Status read_user(const Json& body, Json& chat) {
  const Json* metadata = find_value(body, "metadata");
  if (metadata == nullptr) return {};
  if (auto checked = check(*metadata, kMetadata, "metadata."); !checked) return checked;
  if (const Json* user = find_value(*metadata, "user_id")) chat["user"] = *user;
  return {};
}

Parsed<GenerateRequest> read_as_chat(const Json& body, Purpose purpose, const RequestLimits& limits) {
  const auto chat = to_chat(body, purpose);
  if (!chat) return tl::unexpected<ApiError>(chat.error());
  auto request = chat_request(*chat, limits);
  if (!request) return tl::unexpected<ApiError>(rename(std::move(request.error()), kNames));
  return request;
}

}  // namespace

Parsed<Json> to_chat(const Json& body, Purpose purpose) {
  if (!body.is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(body));
  Status status = check(body, purpose == Purpose::answer ? kMessages : kCountTokens, "");
  Json chat = Json::object();
  if (const Json* model = find_value(body, "model")) chat["model"] = *model;
  if (status && purpose == Purpose::answer) status = read_length(body, chat);
  if (status) status = read_messages(body, chat);
  if (status) status = read_tools(body, chat);
  if (status) status = read_tool_choice(body, chat);
  if (status) status = read_thinking(body, chat);
  if (status) status = read_output(body, chat);
  if (status) status = read_user(body, chat);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  for (const char* key : {"temperature", "top_p", "top_k", "stream"})
    if (const Json* value = find_value(body, key)) chat[key] = *value;
  if (const Json* stops = find_value(body, "stop_sequences")) chat["stop"] = *stops;
  return chat;
}

Parsed<MessageRequest> parse_message(std::string_view body, const RequestLimits& limits) {
  const auto object = read_json(body);
  if (!object) return tl::unexpected<ApiError>(object.error());
  auto request = read_as_chat(*object, Purpose::answer, limits);
  if (!request) return tl::unexpected<ApiError>(std::move(request.error()));
  MessageRequest out{std::move(*request)};
  if (!out.request.max_tokens) out.request.max_tokens = 0;
  out.request.cut_to_context = true;
  out.one_call = !out.request.tools.parallel;
  const Json* thinking = find_value(*object, "thinking");
  const Json* display = thinking == nullptr ? nullptr : find_value(*thinking, "display");
  out.shows_thinking = display == nullptr || *display != "omitted";
  return out;
}

Parsed<GenerateRequest> parse_count(std::string_view body, const RequestLimits& limits) {
  const auto object = read_json(body);
  if (!object) return tl::unexpected<ApiError>(object.error());
  return read_as_chat(*object, Purpose::count, limits);
}

}  // namespace troupe::gateway::anthropic
