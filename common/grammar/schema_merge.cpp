#include "common/grammar/schema_merge.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace troupe::grammar {
namespace {

constexpr std::array<std::string_view, 16> kAnnotations{
    "title",         "description", "default",  "examples",        "$schema", "$id",
    "$comment",      "deprecated",  "readOnly", "writeOnly",       "$defs",   "definitions",
    "discriminator", "example",     "$anchor",  "contentMediaType"};

Json as_list(const Json& one) {
  return one.is_array() ? one : Json::array({one});
}

bool holds(const Json& list, const Json& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

Json common(const Json& a, const Json& b) {
  Json out = Json::array();
  for (const Json& each : a)
    if (holds(b, each)) out.push_back(each);
  return out;
}

/// An integer is a number too.
Json common_types(const Json& a, const Json& b) {
  Json out = common(a, b);
  const auto narrowed = [&](const Json& narrow, const Json& wide) {
    return holds(narrow, "integer") && !holds(narrow, "number") && holds(wide, "number") &&
           !holds(wide, "integer");
  };
  if (narrowed(a, b) || narrowed(b, a)) out.push_back("integer");
  return out;
}

Expected<Json> merge_properties(const Json& a, const Json& b) {
  Json out = a;
  for (const auto& [name, schema] : b.items()) {
    const auto at = out.find(name);
    if (at == out.end()) {
      out[name] = schema;
    } else if (*at != schema) {
      // Resolved when the property is compiled, where references are known.
      *at = Json::object({{"allOf", Json::array({*at, schema})}});
    }
  }
  return out;
}

Expected<Json> merge_keyword(const std::string& keyword, const Json& a, const Json& b) {
  if (a == b || is_annotation(keyword)) return a;
  const bool numbers = a.is_number() && b.is_number();
  if (keyword == "type") return common_types(as_list(a), as_list(b));
  if (keyword == "enum" && a.is_array() && b.is_array()) return common(a, b);
  if (keyword == "properties" && a.is_object() && b.is_object()) return merge_properties(a, b);
  if (keyword == "required" && a.is_array() && b.is_array()) {
    Json out = a;
    for (const Json& name : b)
      if (!holds(out, name)) out.push_back(name);
    return out;
  }
  if (numbers && (keyword.starts_with("min") || keyword == "exclusiveMinimum")) return std::max(a, b);
  if (numbers && (keyword.starts_with("max") || keyword == "exclusiveMaximum")) return std::min(a, b);
  return fail(Errc::invalid_argument, "two schemas that must hold together both give '" + keyword + "'");
}

/// A closed object has only the properties that it names itself.
void close_properties(const Json& closed, Json& merged) {
  const auto flag = closed.find("additionalProperties");
  if (flag == closed.end() || *flag != false) return;
  const auto own = closed.find("properties");
  const auto all = merged.find("properties");
  if (all == merged.end()) return;
  Json kept = Json::object();
  for (const auto& [name, schema] : all->items())
    if (own != closed.end() && own->contains(name)) kept[name] = schema;
  *all = kept;
}

Json types_of(const Json& schema) {
  if (const auto type = schema.find("type"); type != schema.end()) return as_list(*type);
  Json out = Json::array();
  const auto add = [&](const Json& value) {
    out.push_back(value.is_string()    ? "string"
                  : value.is_boolean() ? "boolean"
                  : value.is_null()    ? "null"
                  : value.is_array()   ? "array"
                  : value.is_object()  ? "object"
                                       : "number");
  };
  if (const auto constant = schema.find("const"); constant != schema.end()) add(*constant);
  if (const auto values = schema.find("enum"); values != schema.end())
    for (const Json& value : *values) add(value);
  return out;
}

/// What a schema's value must be one of; null: it does not say.
Json constants_of(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  if (const auto constant = schema.find("const"); constant != schema.end()) return Json::array({*constant});
  const auto values = schema.find("enum");
  return values != schema.end() && values->is_array() ? *values : Json(nullptr);
}

bool no_common_constant(const Json& a, const Json& b) {
  const Json x = constants_of(a), y = constants_of(b);
  return !x.is_null() && !y.is_null() && common(x, y).empty();
}

bool required_in(const Json& schema, const std::string& name) {
  const auto list = schema.find("required");
  return list != schema.end() && holds(*list, name);
}

}  // namespace

bool is_annotation(const std::string& keyword) {
  return std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

Expected<Json> merge_schemas(const Json& a, const Json& b) {
  Json out = a;
  for (const auto& [keyword, value] : b.items()) {
    const auto at = out.find(keyword);
    if (at == out.end()) {
      out[keyword] = value;
      continue;
    }
    auto joined = merge_keyword(keyword, *at, value);
    if (!joined) return joined;
    *at = std::move(*joined);
  }
  close_properties(a, out);
  close_properties(b, out);
  return out;
}

bool surely_disjoint(const Json& a, const Json& b) {
  if (!a.is_object() || !b.is_object()) return false;
  const Json x = types_of(a), y = types_of(b);
  if (!x.empty() && !y.empty() && common_types(x, y).empty()) return true;
  if (no_common_constant(a, b)) return true;
  const auto p = a.find("properties"), q = b.find("properties");
  if (p == a.end() || q == b.end() || !p->is_object() || !q->is_object()) return false;
  for (const auto& [name, schema] : p->items()) {
    const auto other = q->find(name);
    if (other != q->end() && required_in(a, name) && required_in(b, name) &&
        no_common_constant(schema, *other))
      return true;
  }
  return false;
}

}  // namespace troupe::grammar
