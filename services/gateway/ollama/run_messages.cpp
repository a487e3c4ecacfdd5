#include "services/gateway/ollama/run_messages.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "services/gateway/ollama/run_fields.hpp"

namespace troupe::gateway::ollama {
namespace {

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

tl::unexpected<ApiError> no_object(const Json& found, const std::string& path) {
  return refuse("invalid_type", path, path + ": expected an object, found " + describe(found));
}

struct OpenCall {
  std::string id, name;
};

class Reader {
 public:
  Parsed<Json> read(const Json& message, const std::string& path) {
    if (!message.is_object()) return no_object(message, path);
    if (auto checked = check(message, kRunMessage, path + "."); !checked)
      return tl::unexpected<ApiError>(std::move(checked.error()));
    const Json* role = find_value(message, "role");
    if (role == nullptr) return missing(path + ".role");
    Json out = Json{{"role", *role}, {"content", ""}};
    if (const Json* content = find_value(message, "content")) out["content"] = *content;
    if (const Json* thinking = find_value(message, "thinking")) out["reasoning_content"] = *thinking;
    if (*role == "tool") return result(message, std::move(out), path);
    open_.clear();
    const Json* calls = find_value(message, "tool_calls");
    for (std::size_t i = 0; calls != nullptr && i < calls->size(); ++i) {
      auto called = call((*calls)[i], path + ".tool_calls[" + std::to_string(i) + "]");
      if (!called) return called;
      out["tool_calls"].push_back(std::move(*called));
    }
    return out;
  }

 private:
  Parsed<Json> call(const Json& given, const std::string& path) {
    if (!given.is_object()) return no_object(given, path);
    Parsed<void> status = check(given, kRunCall, path + ".");
    const Json* function = find_value(given, "function");
    if (status && function == nullptr) return missing(path + ".function");
    if (status) status = check(*function, kRunFunction, path + ".function.");
    if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
    const Json* name = find_value(*function, "name");
    if (name == nullptr) return missing(path + ".function.name");
    const Json* arguments = find_value(*function, "arguments");
    const Json* id = find_value(given, "id");
    ++calls_;
    const bool named = id != nullptr && !id->get_ref<const std::string&>().empty();
    open_.push_back(
        {named ? id->get<std::string>() : "call_" + std::to_string(calls_), name->get<std::string>()});
    return Json{
        {"id", open_.back().id},
        {"type", "function"},
        {"function",
         {{"name", *name}, {"arguments", arguments == nullptr ? std::string("{}") : arguments->dump()}}}};
  }

  Parsed<Json> result(const Json& message, Json out, const std::string& path) {
    const Json* id = find_value(message, "tool_call_id");
    const Json* name = find_value(message, "tool_name");
    const auto answered = std::find_if(open_.begin(), open_.end(), [&](const OpenCall& open) {
      if (id != nullptr) return *id == open.id;
      return name == nullptr || *name == open.name;
    });
    if (answered == open_.end())
      return refuse("invalid_value", path,
                    path + ": no call of the assistant's message before waits for this result");
    out["tool_call_id"] = answered->id;
    out["name"] = answered->name;
    open_.erase(answered);
    return out;
  }

  std::vector<OpenCall> open_;
  std::size_t calls_ = 0;
};

}  // namespace

Parsed<Json> read_run_messages(const Json& messages) {
  Reader reader;
  Json out = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto message = reader.read(messages[i], "messages[" + std::to_string(i) + "]");
    if (!message) return message;
    out.push_back(std::move(*message));
  }
  return out;
}

}  // namespace troupe::gateway::ollama
