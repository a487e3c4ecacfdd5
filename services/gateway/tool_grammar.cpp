#include "services/gateway/tool_grammar.hpp"

#include <utility>

#include "common/grammar/grammar.hpp"

namespace troupe::gateway {
namespace {

using grammar::Kind;
using grammar::Source;

Json call_item(const Tool& tool, const ToolFormat& format, bool held) {
  Json item = Json::object();
  item["begin"] = "{\"name\": " + Json(tool.name).dump() + ", \"" + std::string(format.key) + "\": ";
  item["schema"] = held ? tool.parameters : Json{{"type", "object"}};
  item["end"] = "}";
  return item;
}

Json otherwise(const ToolFormat& format, const Source& other) {
  if (other.kind == Kind::json_object) return {{"schema", {{"type", "object"}}}};
  if (other.kind == Kind::json_schema) return {{"schema", Json::parse(other.text)}};
  if (format.trigger.empty()) return {{"unlike", format.unlike}};
  return {{"trigger", format.trigger}};
}

}  // namespace

Parsed<Source> tool_grammar(const ToolRequest& request, const ToolFormat& format, const Source& other) {
  const bool free = !request.forced();
  if (request.choice == ToolChoice::none || (!request.constrained() && other.kind == Kind::none))
    return other;
  Json form = Json::object();
  form["open"] = format.open;
  form["between"] = format.between;
  form["close"] = format.close;
  form["most"] = request.parallel && request.choice != ToolChoice::named ? kMostCalls : 1u;
  form["items"] = Json::array();
  for (const Tool& tool : request.tools) {
    if (request.choice == ToolChoice::named && tool.name != request.name) continue;
    form["items"].push_back(call_item(tool, format, !free || tool.strict));
  }
  if (free) form["free"] = otherwise(format, other);
  Source source{Kind::tagged, form.dump()};
  if (const auto made = grammar::compile(source); !made)
    return refuse("invalid_value", "tools", "tools: " + made.error().detail);
  return source;
}

}  // namespace troupe::gateway
