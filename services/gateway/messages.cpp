#include "services/gateway/messages.hpp"

#include <algorithm>
#include <array>

#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

constexpr std::array<std::string_view, 5> kRoles{"system", "developer", "user", "assistant", "tool"};

Parsed<std::string> read_part(const Json& part, const std::string& path) {
  if (!part.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(part));
  const Json* type = find_value(part, "type");
  if (type == nullptr)
    return refuse("missing_required_parameter", path + ".type", path + ".type is required");
  if (!type->is_string())
    return refuse("invalid_type", path + ".type",
                  path + ".type: expected a string, found " + describe(*type));
  if (*type != "text") {
    return refuse("unsupported_parameter", path + ".type", path + ".type: only 'text' parts are supported");
  }
  const Json* text = find_value(part, "text");
  if (text == nullptr)
    return refuse("missing_required_parameter", path + ".text", path + ".text is required");
  if (!text->is_string())
    return refuse("invalid_type", path + ".text",
                  path + ".text: expected a string, found " + describe(*text));
  return text->get<std::string>();
}

Parsed<std::string> read_role(const Json& message, const std::string& path) {
  const Json* role = find_value(message, "role");
  if (role == nullptr) return refuse("missing_required_parameter", path, path + " is required");
  const auto& text = role->get_ref<const std::string&>();
  if (std::ranges::find(kRoles, text) == kRoles.end()) {
    return refuse("invalid_value", path, path + ": expected one of system, developer, user, assistant, tool");
  }
  return text == "developer" ? std::string("system") : text;
}

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

/// Templates print arguments as an object; clients send its text.
Parsed<Json> read_arguments(const Json* text, const std::string& path) {
  if (text == nullptr) return missing(path);
  const auto& spelled = text->get_ref<const std::string&>();
  if (spelled.empty()) return Json::object();
  auto arguments = read_json(spelled);
  if (!arguments || !arguments->is_object())
    return refuse("invalid_value", path, path + ": expected the text of a JSON object");
  return std::move(*arguments);
}

Parsed<Json> read_tool_call(const Json& call, const std::string& path) {
  if (!call.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(call));
  if (auto checked = check_fields(call, kToolCall, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  const Json* id = find_value(call, "id");
  if (id == nullptr) return missing(path + ".id");
  if (const Json* type = find_value(call, "type"); type != nullptr && *type != "function")
    return refuse("unsupported_parameter", path + ".type", path + ".type: only 'function' is supported");
  const Json* function = find_value(call, "function");
  const std::string at = path + ".function";
  if (function == nullptr) return missing(at);
  if (auto checked = check_fields(*function, kCalledFunction, at + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  const Json* name = find_value(*function, "name");
  if (name == nullptr) return missing(at + ".name");
  auto arguments = read_arguments(find_value(*function, "arguments"), at + ".arguments");
  if (!arguments) return arguments;
  return Json{{"id", *id},
              {"type", "function"},
              {"function", {{"name", *name}, {"arguments", std::move(*arguments)}}}};
}

Parsed<Json> read_tool_calls(const Json& calls, const std::string& path) {
  Json out = Json::array();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    auto call = read_tool_call(calls[i], path + "[" + std::to_string(i) + "]");
    if (!call) return call;
    out.push_back(std::move(*call));
  }
  return out;
}

/// A result belongs to one of the calls before it, with nothing but other results between.
Parsed<void> check_result(const Json& messages, const Json& result, const std::string& path) {
  const auto id = result.find("tool_call_id");
  if (id == result.end()) return missing(path);
  std::size_t before = messages.size();
  while (before > 0 && messages[before - 1]["role"] == "tool") --before;
  if (before > 0 && messages[before - 1].contains("tool_calls")) {
    for (const Json& call : messages[before - 1]["tool_calls"])
      if (call["id"] == *id) return {};
  }
  return refuse("invalid_value", path, path + ": no call of the assistant's message before has this id");
}

Parsed<Json> read_message(const Json& message, const std::string& path) {
  if (!message.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(message));
  if (auto checked = check_fields(message, kMessage, path + "."); !checked) {
    return tl::unexpected<ApiError>(std::move(checked.error()));
  }
  auto role = read_role(message, path + ".role");
  if (!role) return tl::unexpected<ApiError>(std::move(role.error()));
  auto content = read_content(find_value(message, "content"), path + ".content");
  if (!content) return tl::unexpected<ApiError>(std::move(content.error()));
  Json out = Json::object();
  out["role"] = std::move(*role);
  out["content"] = std::move(*content);
  if (const Json* calls = find_value(message, "tool_calls"); calls != nullptr && !calls->empty()) {
    auto read = read_tool_calls(*calls, path + ".tool_calls");
    if (!read) return read;
    out["tool_calls"] = std::move(*read);
  }
  for (const char* key : {"name", "tool_call_id", "reasoning_content"}) {
    if (const Json* value = find_value(message, key)) out[key] = *value;
  }
  return out;
}

}  // namespace

Parsed<std::string> read_content(const Json* content, const std::string& path) {
  if (content == nullptr) return std::string();
  if (content->is_string()) return content->get<std::string>();
  std::string joined;
  for (std::size_t i = 0; i < content->size(); ++i) {
    auto part = read_part((*content)[i], path + "[" + std::to_string(i) + "]");
    if (!part) return part;
    if (i != 0) joined += '\n';
    joined += *part;
  }
  return joined;
}

Parsed<Json> read_messages(const Json& messages) {
  if (messages.empty())
    return refuse("invalid_value", "messages", "messages: expected at least one message, found none");
  Json out = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string path = "messages[" + std::to_string(i) + "]";
    auto message = read_message(messages[i], path);
    if (!message) return message;
    if ((*message)["role"] == "tool") {
      if (auto checked = check_result(out, *message, path + ".tool_call_id"); !checked)
        return tl::unexpected<ApiError>(std::move(checked.error()));
    }
    out.push_back(std::move(*message));
  }
  return out;
}

}  // namespace troupe::gateway
