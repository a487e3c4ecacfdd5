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

Parsed<std::string> read_role(const Json& message, const std::string& path) {
  const Json* role = find_value(message, "role");
  if (role == nullptr) return refuse("missing_required_parameter", path, path + " is required");
  const auto& text = role->get_ref<const std::string&>();
  if (std::ranges::find(kRoles, text) == kRoles.end()) {
    return refuse("invalid_value", path, path + ": expected one of system, developer, user, assistant, tool");
  }
  return text == "developer" ? std::string("system") : text;
}

Parsed<void> check_tool_calls(const Json& calls, const std::string& path) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    if (!calls[i].is_object())
      return refuse("invalid_type", at, at + ": expected an object, found " + describe(calls[i]));
  }
  return {};
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
    if (auto checked = check_tool_calls(*calls, path + ".tool_calls"); !checked) {
      return tl::unexpected<ApiError>(std::move(checked.error()));
    }
    out["tool_calls"] = *calls;
  }
  for (const char* key : {"name", "tool_call_id"}) {
    if (const Json* value = find_value(message, key)) out[key] = *value;
  }
  return out;
}

}  // namespace

Parsed<Json> read_messages(const Json& messages) {
  if (messages.empty())
    return refuse("invalid_value", "messages", "messages: expected at least one message, found none");
  Json out = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto message = read_message(messages[i], "messages[" + std::to_string(i) + "]");
    if (!message) return message;
    out.push_back(std::move(*message));
  }
  return out;
}

}  // namespace troupe::gateway
