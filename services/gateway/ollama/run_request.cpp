#include "services/gateway/ollama/run_request.hpp"

#include <array>
#include <utility>

#include "services/gateway/api_words.hpp"
#include "services/gateway/ollama/run_fields.hpp"
#include "services/gateway/ollama/run_messages.hpp"
#include "services/gateway/ollama/run_options.hpp"

namespace troupe::gateway::ollama {
namespace {

using Status = Parsed<void>;

/// Names of a chat's fields in errors, and what they are called here.
constexpr std::array<Renamed, 4> kNames{
    Renamed{"response_format.json_schema.schema", "format"},
    Renamed{"repetition_penalty", "options.repeat_penalty"},
    Renamed{"stop:", "options.stop:"},
    Renamed{"stop[", "options.stop["},
};

template <class T>
tl::unexpected<ApiError> pass_on(Parsed<T>&& failed) {
  return tl::unexpected<ApiError>(std::move(failed.error()));
}

/// The body as an object that has been checked, with a model's name.
Parsed<Json> read_body(std::string_view body, Endpoints where) {
  auto object = read_json(body);
  if (!object) return object;
  if (!object->is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(*object));
  if (auto checked = check(*object, where, ""); !checked) return pass_on(std::move(checked));
  const Json* model = find_value(*object, "model");
  const bool older = where == kNamed && model == nullptr;
  if (older) model = find_value(*object, "name");
  if (model == nullptr || model->get_ref<const std::string&>().empty())
    return refuse("missing_required_parameter", "model", "model is required");
  if (older) (*object)["model"] = model->get<std::string>();
  return object;
}

Status read_format(const Json& body, Json& chat) {
  const Json* format = find_value(body, "format");
  if (format == nullptr || *format == "") return {};
  if (format->is_object()) {
    chat["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"schema", *format}}}};
  } else if (*format == "json") {
    chat["response_format"] = {{"type", "json_object"}};
  } else {
    return refuse("invalid_value", "format", R"(format: expected "json" or a JSON schema)");
  }
  return {};
}

// A template decides by `enable_thinking`, where it has a choice.
Status read_think(const Json& body, Json& chat, RunRequest& out) {
  const Json* think = find_value(body, "think");
  if (think == nullptr) return {};
  if (think->is_string() && *think != "low" && *think != "medium" && *think != "high")
    return refuse("invalid_value", "think", "think: expected a boolean or one of low, medium, high");
  out.wants_thinking = think->is_string() || think->get<bool>();
  chat["chat_template_kwargs"] = {{"enable_thinking", out.wants_thinking}};
  chat["reasoning_format"] = out.wants_thinking ? "deepseek" : "none";
  return {};
}

Status read_tools(const Json& body, Json& chat) {
  const Json* tools = find_value(body, "tools");
  if (tools == nullptr) return {};
  chat["tools"] = *tools;
  for (Json& tool : chat["tools"])
    if (tool.is_object() && find_value(tool, "type") == nullptr) tool["type"] = "function";
  return {};
}

/// What both endpoints have: model, options, format, stream, log-probabilities.
Parsed<Json> read_common(const Json& body, RunRequest& out) {
  Json chat = Json::object();
  chat["model"] = body["model"];
  const Json* streamed = find_value(body, "stream");
  chat["stream"] = streamed == nullptr || streamed->get<bool>();
  auto context = read_options(find_value(body, "options"), chat);
  if (!context) return pass_on(std::move(context));
  out.context = *context;
  if (auto read = read_format(body, chat); !read) return pass_on(std::move(read));
  return chat;
}

/// Log-probabilities as chats ask for them, and as completions do.
void read_logprobs(const Json& body, bool completion, Json& chat) {
  const Json* wanted = find_value(body, "logprobs");
  if (wanted == nullptr || !wanted->get<bool>()) return;
  const Json* top = find_value(body, "top_logprobs");
  const Json most = top == nullptr ? Json(0) : *top;
  chat["logprobs"] = completion ? most : Json(true);
  if (!completion) chat["top_logprobs"] = most;
}

Parsed<RunRequest> only_loads(const Json& body, RunRequest out) {
  out.only_loads = true;
  out.request.model = body["model"].get<std::string>();
  return out;
}

Parsed<RunRequest> finish(Parsed<GenerateRequest> request, RunRequest out) {
  if (!request) return tl::unexpected<ApiError>(rename(std::move(request.error()), kNames));
  out.request = std::move(*request);
  out.request.cut_to_context = true;
  return out;
}

std::string text_of(const Json& body, const char* key) {
  const Json* text = find_value(body, key);
  return text == nullptr ? std::string() : text->get<std::string>();
}

}  // namespace

Parsed<RunRequest> parse_chat_run(std::string_view text, const RequestLimits& limits) {
  const auto body = read_body(text, kChatRun);
  if (!body) return tl::unexpected<ApiError>(body.error());
  RunRequest out;
  out.chat = true;
  const Json* messages = find_value(*body, "messages");
  if (messages == nullptr || messages->empty()) return only_loads(*body, std::move(out));
  auto chat = read_common(*body, out);
  if (!chat) return pass_on(std::move(chat));
  auto read = read_run_messages(*messages);
  if (!read) return pass_on(std::move(read));
  (*chat)["messages"] = std::move(*read);
  Status status = read_tools(*body, *chat);
  if (status) status = read_think(*body, *chat, out);
  if (!status) return pass_on(std::move(status));
  read_logprobs(*body, false, *chat);
  return finish(chat_request(*chat, limits), std::move(out));
}

Parsed<RunRequest> parse_generate_run(std::string_view text, const RequestLimits& limits) {
  const auto body = read_body(text, kGenerateRun);
  if (!body) return tl::unexpected<ApiError>(body.error());
  RunRequest out;
  const std::string prompt = text_of(*body, "prompt"), system = text_of(*body, "system");
  if (prompt.empty()) return only_loads(*body, std::move(out));
  auto chat = read_common(*body, out);
  if (!chat) return pass_on(std::move(chat));
  const Json* raw = find_value(*body, "raw");
  const bool completion = raw != nullptr && raw->get<bool>();
  read_logprobs(*body, completion, *chat);
  if (completion) {
    if (!system.empty()) return refuse("invalid_value", "system", "system: a raw prompt has no place for it");
    (*chat)["prompt"] = prompt;
    return finish(completion_request(*chat, limits), std::move(out));
  }
  Json messages = Json::array();
  if (!system.empty()) messages.push_back(Json{{"role", "system"}, {"content", system}});
  messages.push_back(Json{{"role", "user"}, {"content", prompt}});
  (*chat)["messages"] = std::move(messages);
  if (auto read = read_think(*body, *chat, out); !read) return pass_on(std::move(read));
  return finish(chat_request(*chat, limits), std::move(out));
}

Parsed<std::string> parse_model_name(std::string_view text) {
  const auto body = read_body(text, kNamed);
  if (!body) return tl::unexpected<ApiError>(body.error());
  return (*body)["model"].get<std::string>();
}

}  // namespace troupe::gateway::ollama
