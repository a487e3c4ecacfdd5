#include "services/gateway/tool_request.hpp"

#include <algorithm>
#include <utility>

#include "common/grammar/grammar.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

using Status = Parsed<void>;

tl::unexpected<ApiError> refuse_value(const std::string& path, const std::string& what) {
  return refuse("invalid_value", path, path + ": " + what);
}

tl::unexpected<ApiError> missing(const std::string& path) {
  return refuse("missing_required_parameter", path, path + " is required");
}

Status check_name(const std::string& name, const std::string& path) {
  const auto may_stand = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 64 || !std::ranges::all_of(name, may_stand))
    return refuse_value(path, "expected 1 to 64 letters, digits, underscores and dashes");
  return {};
}

/// What the arguments of a call must be.
Parsed<Json> read_parameters(const Json* given, const std::string& path) {
  Json schema = given == nullptr ? Json::object() : *given;
  if (schema.empty()) schema = {{"type", "object"}, {"properties", Json::object()}};
  const auto type = schema.find("type");
  if (type == schema.end()) {
    schema["type"] = "object";
  } else if (*type != "object") {
    return refuse_value(path + ".type", "expected \"object\", found " + describe(*type));
  }
  return schema;
}

Parsed<Tool> read_tool(const Json& given, const std::string& path) {
  if (!given.is_object())
    return refuse("invalid_type", path, path + ": expected an object, found " + describe(given));
  if (auto checked = check_fields(given, kTool, path + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  const Json* type = find_value(given, "type");
  if (type == nullptr) return missing(path + ".type");
  if (*type != "function")
    return refuse("unsupported_parameter", path + ".type",
                  path + ".type: only 'function' tools are supported");
  const Json* function = find_value(given, "function");
  const std::string at = path + ".function";
  if (function == nullptr) return missing(at);
  if (auto checked = check_fields(*function, kFunction, at + "."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  const Json* name = find_value(*function, "name");
  if (name == nullptr) return missing(at + ".name");
  Tool tool;
  tool.name = name->get<std::string>();
  if (auto checked = check_name(tool.name, at + ".name"); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  auto parameters = read_parameters(find_value(*function, "parameters"), at + ".parameters");
  if (!parameters) return tl::unexpected<ApiError>(std::move(parameters.error()));
  tool.parameters = std::move(*parameters);
  const Json* strict = find_value(*function, "strict");
  tool.strict = strict != nullptr && strict->get<bool>();
  return tool;
}

Status read_list(const Json& list, ToolRequest& out) {
  if (list.size() > kMostTools)
    return refuse_value("tools", "expected at most " + std::to_string(kMostTools) + " tools, found " +
                                     std::to_string(list.size()));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = "tools[" + std::to_string(i) + "]";
    auto tool = read_tool(list[i], path);
    if (!tool) return tl::unexpected<ApiError>(std::move(tool.error()));
    if (std::ranges::find(out.tools, tool->name, &Tool::name) != out.tools.end())
      return refuse_value(path + ".function.name", "another tool has this name");
    out.tools.push_back(std::move(*tool));
  }
  out.shown = list;
  return {};
}

Status read_named_choice(const Json& choice, ToolRequest& out) {
  const std::string path = "tool_choice";
  if (auto checked = check_fields(choice, kToolChoice, path + "."); !checked) return checked;
  const Json* type = find_value(choice, "type");
  if (type == nullptr) return missing(path + ".type");
  if (*type != "function")
    return refuse("unsupported_parameter", path + ".type", path + ".type: only 'function' is supported");
  const Json* function = find_value(choice, "function");
  if (function == nullptr) return missing(path + ".function");
  if (auto checked = check_fields(*function, kNamedFunction, path + ".function."); !checked) return checked;
  const Json* name = find_value(*function, "name");
  if (name == nullptr) return missing(path + ".function.name");
  out.choice = ToolChoice::named;
  out.name = name->get<std::string>();
  if (std::ranges::find(out.tools, out.name, &Tool::name) == out.tools.end())
    return refuse_value(path + ".function.name", "none of the tools has this name");
  return {};
}

Status read_choice(const Json* choice, ToolRequest& out) {
  out.choice = out.tools.empty() ? ToolChoice::none : ToolChoice::automatic;
  if (choice == nullptr) return {};
  if (choice->is_string()) {
    const auto& word = choice->get_ref<const std::string&>();
    if (word.empty() || word == "auto") return {};
    if (word == "none") {
      out.choice = ToolChoice::none;
      return {};
    }
    if (word != "required") return refuse_value("tool_choice", "expected one of none, auto, required");
  } else if (choice->empty()) {
    return {};
  }
  if (out.tools.empty()) return refuse_value("tool_choice", "only allowed when tools are given");
  if (choice->is_object()) return read_named_choice(*choice, out);
  out.choice = ToolChoice::required;
  return {};
}

/// Those schemas that an answer has to follow must be ones that it can be held to.
Status check_schemas(const ToolRequest& request) {
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const Tool& tool = request.tools[i];
    const std::string path = "tools[" + std::to_string(i) + "].function.parameters";
    const std::string text = tool.parameters.dump();
    if (tool.strict)
      if (const auto strict = grammar::check_strict(text); !strict)
        return refuse_value(path, strict.error().detail);
    if (!tool.strict && !request.forced()) continue;
    if (const auto made = grammar::compile({grammar::Kind::json_schema, text}); !made)
      return refuse_value(path, made.error().detail);
  }
  return {};
}

}  // namespace

bool ToolRequest::constrained() const {
  return forced() || (choice == ToolChoice::automatic && std::ranges::any_of(tools, &Tool::strict));
}

Parsed<ToolRequest> read_tools(const Json& object) {
  ToolRequest out;
  Status status;
  if (const Json* list = find_value(object, "tools")) status = read_list(*list, out);
  if (status) status = read_choice(find_value(object, "tool_choice"), out);
  if (status && out.choice != ToolChoice::none) status = check_schemas(out);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  const Json* parallel = find_value(object, "parallel_tool_calls");
  out.parallel = parallel == nullptr || parallel->get<bool>();
  return out;
}

}  // namespace troupe::gateway
