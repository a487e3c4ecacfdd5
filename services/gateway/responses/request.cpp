#include "services/gateway/responses/request.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "common/grammar/grammar.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/responses/schema.hpp"

namespace troupe::gateway::responses {
namespace {

using Status = Parsed<void>;

/// Tools whose schemas are longer together are not held to them unless asked: a form has 32 KiB.
constexpr std::size_t kMostHeldBytes = 16 * 1024;

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

tl::unexpected<ApiError> refuse_value(const std::string& path, const std::string& what) {
  return refuse("invalid_value", path, path + ": " + what);
}

/// Fields of a chat go there as they are, the others are checked here.
Status split_fields(const Json& body, Json& own, Json& chat) {
  if (!body.is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(body));
  for (const auto& [key, value] : body.items()) (is_chat_field(key) ? chat : own)[key] = value;
  return check(own, kResponse, "");
}

void carry(const Json& from, const char* key, Json& to, const char* name = nullptr) {
  if (const Json* value = find_value(from, key)) to[name == nullptr ? key : name] = *value;
}

/// As read_tools wants it. `strict` is what the API says it is by default: where the schema can be.
Parsed<Json> read_tool(const Json& tool, const std::string& path, std::size_t& held_bytes) {
  if (!tool.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(tool));
  const Json* type = find_value(tool, "type");
  if (type == nullptr) return missing(path + ".type");
  if (*type != "function")
    return refuse("unsupported_parameter", path + ".type",
                  path + ".type: only 'function' tools are supported, found " + type->dump());
  if (auto checked = check(tool, kTool, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  Json function = Json::object();
  for (const char* key : {"name", "description", "parameters", "strict"}) carry(tool, key, function);
  if (!function.contains("strict")) {
    const std::string schema = function.contains("parameters") ? function["parameters"].dump() : "";
    held_bytes += schema.size();
    function["strict"] = held_bytes <= kMostHeldBytes && grammar::check_strict(schema).has_value() &&
                         grammar::compile({grammar::Kind::json_schema, schema}).has_value();
  }
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

/// What the answer says of a tool.
Json shown_tool(const Json& tool) {
  Json out = Json::object();
  out["type"] = "function";
  const Json& function = tool["function"];
  out["name"] = function["name"];
  out["description"] = function.contains("description") ? function["description"] : Json();
  out["parameters"] = function.contains("parameters") ? function["parameters"] : Json();
  out["strict"] = function["strict"];
  return out;
}

Status read_tool_list(const Json& own, ResponseRequest& out) {
  Json& shown = out.settings.echo["tools"] = Json::array();
  const Json* list = find_value(own, "tools");
  if (list == nullptr || list->empty()) return {};
  Json tools = Json::array();
  std::size_t held_bytes = 0;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = "tools[" + std::to_string(i) + "]";
    auto tool = read_tool((*list)[i], path, held_bytes);
    if (!tool) return tl::unexpected<ApiError>(std::move(tool.error()));
    if (!(*tool)["function"].contains("name")) return missing(path + ".name");
    shown.push_back(shown_tool(*tool));
    tools.push_back(std::move(*tool));
  }
  out.chat["tools"] = std::move(tools);
  return {};
}

Status read_allowed(const Json& choice, ResponseRequest& out) {
  const Json* tools = find_value(choice, "tools");
  if (tools == nullptr || tools->empty()) return missing("tool_choice.tools");
  out.allowed_tools.emplace();
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string path = "tool_choice.tools[" + std::to_string(i) + "]";
    const Json& tool = (*tools)[i];
    const Json* type = tool.is_object() ? find_value(tool, "type") : nullptr;
    const Json* name = tool.is_object() ? find_value(tool, "name") : nullptr;
    if (type == nullptr || *type != "function" || name == nullptr || !name->is_string())
      return refuse_value(path, "expected the type and the name of one of the function tools");
    out.allowed_tools->push_back(name->get<std::string>());
  }
  const Json* mode = find_value(choice, "mode");
  if (mode != nullptr && *mode != "auto" && *mode != "required")
    return refuse_value("tool_choice.mode", "expected one of auto, required");
  out.chat["tool_choice"] = mode == nullptr ? Json("auto") : *mode;
  return {};
}

Status read_tool_choice(const Json& own, ResponseRequest& out) {
  const Json* choice = find_value(own, "tool_choice");
  out.settings.echo["tool_choice"] = choice == nullptr ? Json("auto") : *choice;
  if (choice == nullptr) return {};
  if (choice->is_string()) {
    out.chat["tool_choice"] = *choice;
    return {};
  }
  const Json* type = find_value(*choice, "type");
  if (type == nullptr) return missing("tool_choice.type");
  if (*type != "function" && *type != "allowed_tools")
    return refuse(
        "unsupported_parameter", "tool_choice.type",
        "tool_choice.type: only 'function' and 'allowed_tools' are supported, found " + type->dump());
  if (auto checked = check(*choice, kToolChoice, "tool_choice."); !checked) return checked;
  if (*type == "allowed_tools") return read_allowed(*choice, out);
  const Json* name = find_value(*choice, "name");
  if (name == nullptr) return missing("tool_choice.name");
  out.chat["tool_choice"] = Json{{"type", "function"}, {"function", Json::object()}};
  out.chat["tool_choice"]["function"]["name"] = *name;
  return {};
}

/// What the answer must look like, as a chat's response_format.
Status read_text(const Json& own, ResponseRequest& out) {
  Json& shown = out.settings.echo["text"] = Json::object();
  shown["format"] = Json::object();
  shown["format"]["type"] = "text";
  const Json* text = find_value(own, "text");
  if (text == nullptr) return {};
  if (auto checked = check(*text, kText, "text."); !checked) return checked;
  const Json* format = find_value(*text, "format");
  if (format == nullptr || format->empty()) return {};
  if (auto checked = check(*format, kTextFormat, "text.format."); !checked) return checked;
  const Json* type = find_value(*format, "type");
  if (type == nullptr) return missing("text.format.type");
  shown["format"] = *format;
  Json asked = Json::object();
  asked["type"] = *type;
  if (*type == "json_schema") {
    for (const char* key : {"name", "schema"})
      if (find_value(*format, key) == nullptr) return missing(std::string("text.format.") + key);
    Json& described = asked["json_schema"] = Json::object();
    for (const char* key : {"name", "schema", "strict"}) carry(*format, key, described);
  }
  out.chat["response_format"] = std::move(asked);
  return {};
}

Status read_include(const Json& own, ResponseRequest& out) {
  constexpr std::string_view kLogprobs = "message.output_text.logprobs";
  // The others are of tools that there are not, or ask for what a reader of `reasoning` has in clear.
  constexpr std::array<std::string_view, 8> kKnown{kLogprobs,
                                                   "reasoning.encrypted_content",
                                                   "file_search_call.results",
                                                   "web_search_call.results",
                                                   "web_search_call.action.sources",
                                                   "message.input_image.image_url",
                                                   "computer_call_output.output.image_url",
                                                   "code_interpreter_call.outputs"};
  if (const Json* list = find_value(own, "include")) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      const std::string path = "include[" + std::to_string(i) + "]";
      const Json& item = (*list)[i];
      if (!item.is_string() || std::ranges::find(kKnown, item.get_ref<const std::string&>()) == kKnown.end())
        return refuse_value(path, "there is nothing of this name to include: " + item.dump());
      if (item.get_ref<const std::string&>() == kLogprobs) out.settings.logprobs = true;
    }
  }
  const Json* top = find_value(own, "top_logprobs");
  out.settings.echo["top_logprobs"] = top == nullptr ? Json(0) : *top;
  if (top != nullptr && *top != 0 && !out.settings.logprobs)
    return refuse_value("top_logprobs", "needs include to have \"" + std::string(kLogprobs) + "\"");
  if (!out.settings.logprobs) return {};
  out.chat["logprobs"] = true;
  carry(own, "top_logprobs", out.chat);
  return {};
}

Status read_metadata(const Json& own, Json& echo) {
  echo["metadata"] = Json::object();
  const Json* metadata = find_value(own, "metadata");
  if (metadata == nullptr) return {};
  if (metadata->size() > 16) return refuse_value("metadata", "expected at most 16 pairs");
  for (const auto& [key, value] : metadata->items()) {
    if (count_characters(key) > 64) return refuse_value("metadata", "a key has at most 64 characters");
    if (!value.is_string() || count_characters(value.get_ref<const std::string&>()) > 512)
      return refuse_value("metadata." + key, "expected a string of at most 512 characters");
  }
  echo["metadata"] = *metadata;
  return {};
}

/// A template that knows `reasoning_effort` is told.
Status read_reasoning(const Json& own, ResponseRequest& out) {
  Json& shown = out.settings.echo["reasoning"] = Json::object();
  for (const char* key : {"effort", "summary"}) shown[key] = Json();
  const Json* reasoning = find_value(own, "reasoning");
  if (reasoning == nullptr) return {};
  if (auto checked = check(*reasoning, kReasoning, "reasoning."); !checked) return checked;
  for (const char* key : {"effort", "summary"}) carry(*reasoning, key, shown);
  if (shown["effort"].is_null()) return {};
  Json& variables = out.chat["chat_template_kwargs"];
  if (variables.is_null()) variables = Json::object();
  if (variables.is_object() && !variables.contains("reasoning_effort"))
    variables["reasoning_effort"] = shown["effort"];
  return {};
}

Status read_stored(const Json& own, ResponseRequest& out) {
  Json& echo = out.settings.echo;
  echo["previous_response_id"] = Json();
  if (const Json* previous = find_value(own, "previous_response_id")) {
    out.previous = id_of_response(previous->get_ref<const std::string&>());
    if (!out.previous) return refuse_value("previous_response_id", "expected \"resp_\" and 32 hex digits");
    echo["previous_response_id"] = *previous;
  }
  for (std::size_t i = 0; i < out.settings.input.size(); ++i) {
    const Json& item = out.settings.input[i];
    if (item["type"] != "item_reference") continue;
    const auto response = response_of_item(item["id"].get_ref<const std::string&>());
    if (!response) return refuse_value("input[" + std::to_string(i) + "].id", "no item of this id is stored");
    if (std::ranges::find(out.referred, *response) == out.referred.end()) out.referred.push_back(*response);
  }
  if (out.referred.size() > kMostReferred)
    return refuse_value("input",
                        "refers to items of more than " + std::to_string(kMostReferred) + " responses");
  return {};
}

void read_plain(const Json& own, ResponseRequest& out) {
  for (const char* key :
       {"model", "stream", "temperature", "top_p", "user", "prompt_cache_key", "parallel_tool_calls"})
    carry(own, key, out.chat);
  carry(own, "max_output_tokens", out.chat, "max_completion_tokens");
  // A stream's last event tells the usage; beside other gateways it has to be agreed on.
  const Json* stream = find_value(own, "stream");
  if (stream != nullptr && *stream == true) {
    out.chat["stream_options"] = Json::object();
    out.chat["stream_options"]["include_usage"] = true;
  }
  if (const Json* text = find_value(own, "instructions")) out.instructions = text->get<std::string>();
  const Json* store = find_value(own, "store");
  out.settings.store = store == nullptr || store->get<bool>();
  Json& echo = out.settings.echo;
  for (const char* key : {"model", "instructions", "max_output_tokens", "max_tool_calls", "user",
                          "prompt_cache_key", "safety_identifier"})
    echo[key] = find_value(own, key) == nullptr ? Json() : own[key];
  const Json* parallel = find_value(own, "parallel_tool_calls");
  echo["parallel_tool_calls"] = parallel == nullptr ? Json(true) : *parallel;
  echo["background"] = false;
  echo["truncation"] = "disabled";
  echo["service_tier"] = "default";
}

/// An item of a stored response by its id.
const Json* find_item(const Json& stored, const std::string& id) {
  for (const Json* items : {&stored["response"]["output"], &stored["input"]})
    for (const Json& item : *items)
      if (item.contains("id") && item["id"] == id) return &item;
  return nullptr;
}

tl::unexpected<ApiError> not_stored(int status, std::string code, const std::string& path,
                                    const std::string& what) {
  return tl::unexpected<ApiError>(
      ApiError{status, std::move(code), path, path + ": " + what + " is not stored", 0});
}

Status resolve(ResponseRequest& request, const FindStored& stored) {
  Settings& settings = request.settings;
  if (request.previous) {
    const Json* before = stored(*request.previous);
    if (before == nullptr)
      return not_stored(400, "previous_response_not_found", "previous_response_id",
                        response_id(*request.previous));
    settings.history = (*before)["history"];
    for (const Json* items : {&(*before)["input"], &(*before)["response"]["output"]})
      settings.history.insert(settings.history.end(), items->begin(), items->end());
  }
  for (std::size_t i = 0; i < settings.input.size(); ++i) {
    Json& item = settings.input[i];
    if (item["type"] != "item_reference") continue;
    const auto id = item["id"].get<std::string>();
    const auto response = response_of_item(id);
    const Json* from = response ? stored(*response) : nullptr;
    const Json* found = from == nullptr ? nullptr : find_item(*from, id);
    if (found == nullptr) return not_stored(404, "item_not_found", "input[" + std::to_string(i) + "].id", id);
    item = *found;
  }
  return {};
}

/// All tools are shown, some may be called.
Status keep_allowed(const std::vector<std::string>& allowed, ToolRequest& tools) {
  for (const std::string& name : allowed)
    if (std::ranges::find(tools.tools, name, &Tool::name) == tools.tools.end())
      return refuse_value("tool_choice.tools", "there is no tool '" + name + "'");
  std::erase_if(tools.tools,
                [&](const Tool& tool) { return std::ranges::find(allowed, tool.name) == allowed.end(); });
  return {};
}

}  // namespace

Parsed<ResponseRequest> read_request(const Json& body, const RequestId& id) {
  ResponseRequest out;
  Json own = Json::object();
  Status status = split_fields(body, own, out.chat);
  const Json* input = status ? find_value(own, "input") : nullptr;
  if (status && input == nullptr) status = missing("input");
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  auto items = read_items(*input, id);
  if (!items) return tl::unexpected<ApiError>(std::move(items.error()));
  out.settings.input = std::move(*items);
  read_plain(own, out);
  for (const auto read :
       {read_tool_list, read_tool_choice, read_text, read_include, read_reasoning, read_stored})
    if (status) status = read(own, out);
  if (status) status = read_metadata(own, out.settings.echo);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  return out;
}

Parsed<GenerateRequest> to_chat(ResponseRequest& request, const FindStored& stored,
                                const RequestLimits& limits) {
  if (auto resolved = resolve(request, stored); !resolved)
    return tl::unexpected<ApiError>(std::move(resolved.error()));
  Settings& settings = request.settings;
  auto messages = to_messages(request.instructions, settings.history, settings.input);
  if (!messages) return tl::unexpected<ApiError>(std::move(messages.error()));
  request.chat["messages"] = std::move(*messages);
  auto chat = chat_request(request.chat, limits);
  if (!chat) return tl::unexpected<ApiError>(renamed(std::move(chat.error())));
  if (request.allowed_tools) {
    if (auto kept = keep_allowed(*request.allowed_tools, chat->tools); !kept)
      return tl::unexpected<ApiError>(std::move(kept.error()));
  }
  for (const char* key : {"temperature", "top_p"}) {
    const Json* value = find_value(request.chat, key);
    settings.echo[key] = value == nullptr ? Json(1.0) : *value;
  }
  return chat;
}

ApiError renamed(ApiError error) {
  if (error.code == "unknown_parameter") return error;  // the client's own name
  // What a name begins with, and what it begins with here; the first that fits counts.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNames{{
      {"messages", "input"},
      {"max_completion_tokens", "max_output_tokens"},
      {"max_tokens", "max_output_tokens"},
      {"response_format.json_schema.", "text.format."},
      {"response_format.json_schema", "text.format"},
      {"response_format", "text.format"},
      {"logprobs", "include"},
  }};
  std::string name = error.param;
  for (const auto& [from, to] : kNames) {
    if (!name.starts_with(from)) continue;
    name.replace(0, from.size(), to);
    break;
  }
  constexpr std::string_view kFunction = ".function";
  const auto inner = name.starts_with("tool") ? name.find(kFunction) : std::string::npos;
  if (inner != std::string::npos) name.erase(inner, kFunction.size());
  if (error.param.empty() || name == error.param) return error;
  for (auto at = error.message.find(error.param); at != std::string::npos;
       at = error.message.find(error.param, at + name.size()))
    error.message.replace(at, error.param.size(), name);
  error.param = std::move(name);
  return error;
}

}  // namespace troupe::gateway::responses
