#include "services/gateway/responses/items.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "services/gateway/responses/schema.hpp"

namespace troupe::gateway::responses {
namespace {

using Status = Parsed<void>;

constexpr std::size_t kHexDigits = 32;

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

tl::unexpected<ApiError> wrong_type(const std::string& path, std::string_view wanted, const Json& found) {
  return refuse("invalid_type", path,
                path + ": expected " + std::string(wanted) + ", found " + describe(found));
}

Json text_part(std::string text, bool assistant) {
  if (!assistant) return Json{{"type", "input_text"}, {"text", std::move(text)}};
  return Json{{"type", "output_text"},
              {"text", std::move(text)},
              {"annotations", Json::array()},
              {"logprobs", Json::array()}};
}

Parsed<Json> read_part(const Json& part, bool assistant, const std::string& path) {
  if (!part.is_object()) return wrong_type(path, "an object", part);
  const Json* type = find_value(part, "type");
  if (type == nullptr) return missing(path + ".type");
  const bool refusal = *type == "refusal";
  if (!refusal && *type != "input_text" && *type != "output_text" && *type != "text")
    return refuse("unsupported_parameter", path + ".type",
                  path + ".type: only parts with text are supported, found " + type->dump());
  if (auto checked = check(part, kTextPart, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  const char* key = refusal ? "refusal" : "text";
  const Json* text = find_value(part, key);
  if (text == nullptr) return missing(path + "." + key);
  if (refusal) return Json{{"type", "refusal"}, {"refusal", *text}};
  return text_part(text->get<std::string>(), assistant);
}

Parsed<Json> read_parts(const Json* content, bool assistant, const std::string& path) {
  if (content == nullptr) return missing(path);
  Json parts = Json::array();
  if (content->is_string()) {
    parts.push_back(text_part(content->get<std::string>(), assistant));
    return parts;
  }
  for (std::size_t i = 0; i < content->size(); ++i) {
    auto part = read_part((*content)[i], assistant, at(path, i));
    if (!part) return part;
    parts.push_back(std::move(*part));
  }
  return parts;
}

/// Of a message or of a result, for a template.
std::string text_of(const Json& parts) {
  std::string out;
  for (const Json& part : parts) {
    if (!out.empty()) out += '\n';
    out += part[part.contains("refusal") ? "refusal" : "text"].get_ref<const std::string&>();
  }
  return out;
}

Parsed<Json> read_message(const Json& item, const std::string& path) {
  constexpr std::array<std::string_view, 4> kRoles{"user", "assistant", "system", "developer"};
  const Json* role = find_value(item, "role");
  if (role == nullptr) return missing(path + ".role");
  if (std::ranges::find(kRoles, role->get_ref<const std::string&>()) == kRoles.end())
    return refuse("invalid_value", path + ".role",
                  path + ".role: expected one of user, assistant, system, developer");
  auto parts = read_parts(find_value(item, "content"), *role == "assistant", path + ".content");
  if (!parts) return parts;
  return Json{{"type", "message"}, {"role", *role}, {"content", std::move(*parts)}};
}

Parsed<Json> read_call(const Json& item, const std::string& path) {
  for (const char* key : {"call_id", "name", "arguments"})
    if (find_value(item, key) == nullptr) return missing(path + "." + key);
  return Json{{"type", "function_call"},
              {"call_id", item["call_id"]},
              {"name", item["name"]},
              {"arguments", item["arguments"]}};
}

Parsed<Json> read_call_output(const Json& item, const std::string& path) {
  if (find_value(item, "call_id") == nullptr) return missing(path + ".call_id");
  auto parts = read_parts(find_value(item, "output"), false, path + ".output");
  if (!parts) return parts;
  return Json{{"type", "function_call_output"}, {"call_id", item["call_id"]}, {"output", text_of(*parts)}};
}

Parsed<Json> read_reasoning(const Json& item, const std::string&) {
  Json out{{"type", "reasoning"}, {"summary", Json::array()}};
  for (const char* key : {"summary", "content"})
    if (const Json* value = find_value(item, key)) out[key] = *value;
  return out;
}

Parsed<Json> read_reference(const Json& item, const std::string& path) {
  if (find_value(item, "id") == nullptr) return missing(path + ".id");
  Json out = Json::object();
  out["type"] = "item_reference";
  return out;
}

struct Kind {
  std::string_view type;
  Endpoints fields;
  std::string_view prefix;  ///< of its ids
  Parsed<Json> (*read)(const Json& item, const std::string& path);
};

constexpr std::array kKinds{
    Kind{"message", kMessage, "msg", read_message},
    Kind{"function_call", kCall, "fc", read_call},
    Kind{"function_call_output", kCallOutput, "fco", read_call_output},
    Kind{"reasoning", kReasoningItem, "rs", read_reasoning},
    Kind{"item_reference", kReference, "", read_reference},
};

/// Messages may leave their type out, and so may references.
std::string_view type_of(const Json& item) {
  const Json* type = find_value(item, "type");
  if (type != nullptr) return type->is_string() ? std::string_view(type->get_ref<const std::string&>()) : "";
  return item.contains("role") ? "message" : "item_reference";
}

Parsed<Json> read_item(const Json& item, const RequestId& response, std::size_t index) {
  const std::string path = at("input", index);
  if (!item.is_object()) return wrong_type(path, "an object", item);
  const auto kind = std::ranges::find(kKinds, type_of(item), &Kind::type);
  if (kind == kKinds.end()) {
    const Json* type = find_value(item, "type");
    return refuse("unsupported_parameter", path + ".type",
                  path + ".type: items of this kind are not supported: " + type->dump());
  }
  if (auto checked = check(item, kind->fields, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  auto read = kind->read(item, path);
  if (!read) return read;
  const Json* id = find_value(item, "id");
  const Json* status = find_value(item, "status");
  (*read)["id"] = id != nullptr ? *id : Json(item_id(kind->prefix, response, false, index));
  if (kind->type != "item_reference") (*read)["status"] = status != nullptr ? *status : Json("completed");
  return read;
}

/// Brings items into the messages of a chat, one after the other.
class Chat {
 public:
  void say(std::string_view role, std::string text) {
    messages_.push_back(Json{{"role", std::string(role)}, {"content", std::move(text)}});
  }
  /// `path`: of the item in the request; empty: it was read before.
  Status add(const Json& item, const std::string& path) {
    const auto& type = item["type"].get_ref<const std::string&>();
    if (type == "message") {
      add_message(item);
    } else if (type == "function_call") {
      return add_call(item, path);
    } else if (type == "function_call_output") {
      return add_result(item, path);
    }
    return {};
  }
  Json take() { return std::move(messages_); }

 private:
  [[nodiscard]] bool assistant_speaks() const {
    return !messages_.empty() && messages_.back()["role"] == "assistant";
  }

  void add_message(const Json& item) {
    std::string text = text_of(item["content"]);
    const auto& role = item["role"].get_ref<const std::string&>();
    // What was said beside calls stands in one message with them.
    if (role != "assistant" || !assistant_speaks() || !messages_.back().contains("tool_calls"))
      return say(role, std::move(text));
    auto said = messages_.back()["content"].get<std::string>();
    if (!said.empty() && !text.empty()) said += '\n';
    messages_.back()["content"] = said + text;
  }

  Status add_call(const Json& item, const std::string& path) {
    const auto& spelled = item["arguments"].get_ref<const std::string&>();
    const auto arguments = spelled.empty() ? Parsed<Json>(Json::object()) : read_json(spelled);
    if (!arguments || !arguments->is_object()) {
      if (path.empty() || item["status"] == "incomplete") return {};  // an answer that was cut in its call
      return refuse("invalid_value", path + ".arguments",
                    path + ".arguments: expected the text of a JSON object");
    }
    if (!assistant_speaks()) say("assistant", "");
    Json& message = messages_.back();
    if (!message.contains("tool_calls")) message["tool_calls"] = Json::array();
    message["tool_calls"].push_back(
        Json{{"id", item["call_id"]},
             {"type", "function"},
             {"function", {{"name", item["name"]}, {"arguments", spelled.empty() ? "{}" : spelled}}}});
    return {};
  }

  Status add_result(const Json& item, const std::string& path) {
    std::size_t before = messages_.size();
    while (before > 0 && messages_[before - 1]["role"] == "tool") --before;
    const bool calls = before > 0 && messages_[before - 1].contains("tool_calls");
    const auto is_its = [&](const Json& call) { return call["id"] == item["call_id"]; };
    if (!calls || std::ranges::none_of(messages_[before - 1]["tool_calls"], is_its)) {
      if (path.empty()) return {};
      return refuse("invalid_value", path + ".call_id",
                    path + ".call_id: no function call right before it has this call_id");
    }
    messages_.push_back(
        Json{{"role", "tool"}, {"tool_call_id", item["call_id"]}, {"content", item["output"]}});
    return {};
  }

  Json messages_ = Json::array();
};

}  // namespace

std::string response_id(const RequestId& id) {
  return std::string(kIdPrefix) + to_hex(id);
}

std::optional<RequestId> id_of_response(std::string_view text) {
  if (!text.starts_with(kIdPrefix)) return std::nullopt;
  const auto id = id_from_hex<RequestId>(text.substr(kIdPrefix.size()));
  return id ? std::optional(*id) : std::nullopt;
}

std::string item_id(std::string_view prefix, const RequestId& response, bool output, std::size_t index) {
  return std::string(prefix) + '_' + to_hex(response) + (output ? 'o' : 'i') + std::to_string(index);
}

std::optional<RequestId> response_of_item(std::string_view item) {
  const auto begin = item.find('_');
  if (begin == std::string_view::npos || item.size() < begin + 1 + kHexDigits) return std::nullopt;
  const auto id = id_from_hex<RequestId>(item.substr(begin + 1, kHexDigits));
  return id ? std::optional(*id) : std::nullopt;
}

Parsed<Json> read_items(const Json& input, const RequestId& response) {
  Json items = Json::array();
  if (input.is_string()) {
    items.push_back(Json{{"type", "message"},
                         {"role", "user"},
                         {"content", Json::array({text_part(input.get<std::string>(), false)})},
                         {"id", item_id("msg", response, false, 0)},
                         {"status", "completed"}});
    return items;
  }
  if (input.empty()) return refuse("invalid_value", "input", "input: expected at least one item, found none");
  for (std::size_t i = 0; i < input.size(); ++i) {
    auto item = read_item(input[i], response, i);
    if (!item) return item;
    items.push_back(std::move(*item));
  }
  return items;
}

Parsed<Json> to_messages(const std::optional<std::string>& instructions, const Json& known,
                         const Json& added) {
  Chat chat;
  if (instructions && !instructions->empty()) chat.say("system", *instructions);
  for (const Json& item : known) (void)chat.add(item, "");
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (auto done = chat.add(added[i], at("input", i)); !done)
      return tl::unexpected<ApiError>(std::move(done.error()));
  }
  return chat.take();
}

}  // namespace troupe::gateway::responses
