#include "services/gateway/anthropic/message_content.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/anthropic/message_fields.hpp"

namespace troupe::gateway::anthropic {
namespace {

using Status = Parsed<void>;

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

tl::unexpected<ApiError> refuse_value(const std::string& path, const std::string& what) {
  return refuse("invalid_value", path, path + ": " + what);
}

void append_line(Json& text, const std::string& line) {
  auto& out = text.get_ref<std::string&>();
  if (!out.empty()) out += '\n';
  out += line;
}

/// What a block is.
Parsed<std::string> type_of(const Json& block, const std::string& path) {
  if (!block.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(block));
  const Json* type = find_value(block, "type");
  if (type == nullptr) return missing(path + ".type");
  if (!type->is_string())
    return refuse("invalid_type", path + ".type",
                  path + ".type: expected a string, found " + describe(*type));
  return type->get<std::string>();
}

tl::unexpected<ApiError> unsupported(const std::string& type, const std::string& path) {
  return refuse("unsupported_parameter", path + ".type",
                path + ".type: blocks of type '" + type + "' are not supported");
}

Parsed<std::string> read_field(const Json& block, const char* key, const std::string& path) {
  const Json* value = find_value(block, key);
  if (value == nullptr) return missing(path + "." + key);
  return value->get<std::string>();
}

}  // namespace

Parsed<std::string> read_text(const Json& content, const std::string& path) {
  if (content.is_string()) return content.get<std::string>();
  std::string out;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    const auto type = type_of(content[i], at);
    if (!type) return type;
    if (*type != "text") return unsupported(*type, at);
    if (auto checked = check(content[i], kTextBlock, at + "."); !checked)
      return tl::unexpected<ApiError>(std::move(checked.error()));
    auto text = read_field(content[i], "text", at);
    if (!text) return text;
    if (i != 0) out += '\n';
    out += *text;
  }
  return out;
}

void ChatMessages::system(std::string text) {
  messages_.push_back(Json{{"role", "system"}, {"content", std::move(text)}});
}

Status ChatMessages::add(const Json& message, const std::string& path) {
  if (!message.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(message));
  if (auto checked = check(message, kMessage, path + "."); !checked) return checked;
  const Json* named = find_value(message, "role");
  if (named == nullptr) return missing(path + ".role");
  const auto role = named->get<std::string>();
  if (role != "user" && role != "assistant" && role != "system")
    return refuse_value(path + ".role", "expected one of user, assistant, system");
  const Json* content = find_value(message, "content");
  if (content == nullptr) return missing(path + ".content");
  if (content->is_string())
    return add_text(role, Json{{"type", "text"}, {"text", *content}}, path + ".content");
  for (std::size_t i = 0; i < content->size(); ++i) {
    const std::string at = path + ".content[" + std::to_string(i) + "]";
    if (auto added = add_block(role, (*content)[i], at); !added) return added;
  }
  return {};
}

Status ChatMessages::add_block(const std::string& role, const Json& block, const std::string& path) {
  const auto type = type_of(block, path);
  if (!type) return tl::unexpected<ApiError>(type.error());
  if (*type == "text") return add_text(role, block, path);
  if (*type == "tool_use" && role == "assistant") return add_call(block, path);
  if (*type == "tool_result" && role == "user") return add_result(block, path);
  if (*type == "thinking" && role == "assistant") return add_thinking(block, path);
  if (*type == "redacted_thinking" && role == "assistant") return {};
  if (*type == "image")
    return refuse("unsupported_parameter", path + ".type", path + ".type: images are not supported");
  return unsupported(*type, path);
}

/// The message that more of `role` belongs to.
Json& ChatMessages::message_of(const std::string& role) {
  if (messages_.empty() || messages_.back()["role"] != role)
    messages_.push_back(Json{{"role", role}, {"content", ""}});
  return messages_.back();
}

Status ChatMessages::check_answered(const std::string& path) const {
  if (open_calls_.empty()) return {};
  return refuse_value(path, "the tool_use block '" + open_calls_.front() +
                                "' needs its tool_result at the beginning of the next user message");
}

Status ChatMessages::add_text(const std::string& role, const Json& block, const std::string& path) {
  if (auto checked = check(block, kTextBlock, path + "."); !checked) return checked;
  auto text = read_field(block, "text", path);
  if (!text) return tl::unexpected<ApiError>(std::move(text.error()));
  const bool goes_on = role == "assistant" && !messages_.empty() && messages_.back()["role"] == role;
  if (!goes_on)
    if (auto answered = check_answered(path); !answered) return answered;
  append_line(message_of(role)["content"], *text);
  return {};
}

// What a model thought earlier is the template's to show or to leave out.
Status ChatMessages::add_thinking(const Json& block, const std::string& path) {
  const Json* thinking = find_value(block, "thinking");
  if (thinking == nullptr) return missing(path + ".thinking");
  if (!thinking->is_string())
    return refuse("invalid_type", path + ".thinking",
                  path + ".thinking: expected a string, found " + describe(*thinking));
  Json& message = message_of("assistant");
  if (!message.contains("reasoning_content")) message["reasoning_content"] = "";
  append_line(message["reasoning_content"], thinking->get<std::string>());
  return {};
}

Status ChatMessages::add_call(const Json& block, const std::string& path) {
  if (auto checked = check(block, kToolUse, path + "."); !checked) return checked;
  auto id = read_field(block, "id", path), name = read_field(block, "name", path);
  for (const auto* field : {&id, &name})
    if (!*field) return tl::unexpected<ApiError>(field->error());
  const Json* input = find_value(block, "input");
  if (input == nullptr) return missing(path + ".input");
  Json& message = message_of("assistant");
  if (!message.contains("tool_calls")) message["tool_calls"] = Json::array();
  message["tool_calls"].push_back(
      Json{{"id", *id},
           {"type", "function"},
           {"function", {{"name", std::move(*name)}, {"arguments", input->dump()}}}});
  open_calls_.push_back(std::move(*id));
  return {};
}

Status ChatMessages::add_result(const Json& block, const std::string& path) {
  if (auto checked = check(block, kToolResult, path + "."); !checked) return checked;
  auto id = read_field(block, "tool_use_id", path);
  if (!id) return tl::unexpected<ApiError>(std::move(id.error()));
  const auto call = std::ranges::find(open_calls_, *id);
  if (call == open_calls_.end())
    return refuse_value(path + ".tool_use_id",
                        "no tool_use block of the message before waits for a result under this id");
  open_calls_.erase(call);
  std::string text;
  if (const Json* content = find_value(block, "content")) {
    auto read = read_text(*content, path + ".content");
    if (!read) return tl::unexpected<ApiError>(std::move(read.error()));
    text = std::move(*read);
  }
  const Json* failed = find_value(block, "is_error");
  if (failed != nullptr && failed->get<bool>()) text.insert(0, "Error: ");
  messages_.push_back(Json{{"role", "tool"}, {"tool_call_id", std::move(*id)}, {"content", std::move(text)}});
  return {};
}

Parsed<Json> ChatMessages::take() {
  if (messages_.empty() || messages_.back()["role"] == "system")
    return refuse_value("messages", "expected a message of the user at the end");
  if (auto answered = check_answered("messages"); !answered)
    return tl::unexpected<ApiError>(std::move(answered.error()));
  if (messages_.back()["role"] == "assistant")
    return refuse("unsupported_parameter", "messages",
                  "messages: the conversation must end with a user message; going on in the assistant's last "
                  "message is not supported");
  return std::exchange(messages_, Json::array());
}

}  // namespace troupe::gateway::anthropic
