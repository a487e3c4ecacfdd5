#include "common/grammar/json_schema.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "common/grammar/schema_merge.hpp"

namespace troupe::grammar {
namespace {

constexpr std::array<std::string_view, 24> kKeywords{"type",
                                                     "enum",
                                                     "const",
                                                     "anyOf",
                                                     "oneOf",
                                                     "allOf",
                                                     "$ref",
                                                     "properties",
                                                     "required",
                                                     "additionalProperties",
                                                     "items",
                                                     "prefixItems",
                                                     "minItems",
                                                     "maxItems",
                                                     "pattern",
                                                     "format",
                                                     "minLength",
                                                     "maxLength",
                                                     "minimum",
                                                     "maximum",
                                                     "exclusiveMinimum",
                                                     "exclusiveMaximum",
                                                     "nullable",
                                                     "multipleOf"};

bool is_known(const std::string& keyword) {
  return is_annotation(keyword) || std::find(kKeywords.begin(), kKeywords.end(), keyword) != kKeywords.end();
}

tl::unexpected<Error> refuse(const std::string& pointer, const std::string& what) {
  return fail(Errc::invalid_argument, pointer + ": " + what);
}

bool says_something(const Json& schema) {
  for (const auto& [keyword, value] : schema.items())
    if (!is_annotation(keyword)) return true;
  return false;
}

/// What a schema without `type` speaks of.
std::vector<std::string> implied_types(const Json& schema) {
  const auto has = [&](std::initializer_list<const char*> keywords) {
    return std::any_of(keywords.begin(), keywords.end(), [&](const char* k) { return schema.contains(k); });
  };
  std::vector<std::string> types;
  if (has({"properties", "required", "additionalProperties"})) types.emplace_back("object");
  if (has({"items", "prefixItems", "minItems", "maxItems"})) types.emplace_back("array");
  if (has({"pattern", "format", "minLength", "maxLength"})) types.emplace_back("string");
  if (has({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}))
    types.emplace_back("number");
  return types;
}

bool is_of_type(const Json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  return type == "number" ? value.is_number() : value.is_number_integer();
}

}  // namespace

SchemaCompiler::Place SchemaCompiler::Place::at(const std::string& step) const {
  std::string escaped;
  for (const char c : step) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return {pointer + "/" + escaped, depth + 1};
}

Expected<Expr> SchemaCompiler::compile() {
  return schema(root_, {"#", 0});
}

/// Schemas that refer to each other may unfold to far more than they are.
Expected<void> SchemaCompiler::count_work(const Place& place) const {
  constexpr std::uint32_t kMostWork = 20'000;
  if (place.depth > limits_.nesting * 4) return refuse(place.pointer, "nested too deeply, or without end");
  if (++work_ > kMostWork || builder_.nodes() > std::size_t{limits_.states} * 4)
    return refuse(place.pointer, "the schema is too large");
  return {};
}

Expected<Expr> SchemaCompiler::schema(const Json& given, const Place& place) {
  TROUPE_TRY(count_work(place));
  if (given.is_boolean()) return given.get<bool>() ? text_.any_value() : builder_.nothing();
  if (!given.is_object()) return refuse(place.pointer, "expected a schema: an object or a boolean");
  for (const auto& [keyword, value] : given.items())
    if (!is_known(keyword)) return refuse(place.at(keyword).pointer, "unsupported keyword '" + keyword + "'");
  if (const auto ref = given.find("$ref"); ref != given.end()) {
    Json rest = given;
    rest.erase("$ref");
    if (!says_something(rest)) return reference(*ref, place.at("$ref"));
  }
  if (given.contains("$ref") || given.contains("allOf")) {
    auto flat = flatten(given, place);
    TROUPE_TRY(flat);
    return schema(*flat, {place.pointer, place.depth + 1});
  }
  for (const char* keyword : {"anyOf", "oneOf"})
    if (given.contains(keyword)) return alternatives(given, keyword, place);
  if (const auto constant = given.find("const"); constant != given.end())
    return constants(Json::array({*constant}), given, place);
  if (const auto values = given.find("enum"); values != given.end()) return constants(*values, given, place);

  std::vector<std::string> types;
  if (const auto type = given.find("type"); type != given.end()) {
    for (const Json& one : type->is_array() ? *type : Json::array({*type})) {
      if (!one.is_string()) return refuse(place.at("type").pointer, "expected the name of a type");
      types.push_back(one.get<std::string>());
    }
  } else {
    types = implied_types(given);
    if (types.empty()) return text_.any_value();
  }
  std::vector<Expr> options;
  for (const std::string& type : types) {
    auto one = typed(type, given, place);
    if (!one) return one;
    options.push_back(*one);
  }
  const auto nullable = given.find("nullable");
  if (nullable != given.end() && *nullable == true) options.push_back(builder_.literal("null"));
  return builder_.choice(std::move(options));
}

/// A rule for each target: it may hold itself.
Expected<Expr> SchemaCompiler::reference(const Json& target, const Place& place) {
  if (!target.is_string()) return refuse(place.pointer, "expected a string");
  const auto& name = target.get_ref<const std::string&>();
  const auto [at, fresh] = references_.try_emplace(name);
  if (!fresh) return builder_.call(at->second);
  auto found = resolve(name, place);
  TROUPE_TRY(found);
  const Rule rule = builder_.add_rule(name);
  at->second = rule;
  auto body = schema(**found, {name, place.depth});
  if (!body) return body;
  builder_.define(rule, *body);
  return builder_.call(rule);
}

Expected<const Json*> SchemaCompiler::resolve(const std::string& reference, const Place& place) const {
  if (!reference.starts_with('#'))
    return refuse(place.pointer, "'" + reference + "' is not inside this schema");
  try {
    const Json::json_pointer pointer(reference.substr(1));
    if (root_.contains(pointer)) return &root_.at(pointer);
  } catch (const nlohmann::json::exception&) {
    // a malformed pointer points nowhere
  }
  return refuse(place.pointer, "there is nothing at '" + reference + "'");
}

Expected<Json> SchemaCompiler::flatten(const Json& given, const Place& place) const {
  TROUPE_TRY(count_work(place));
  if (!given.is_object()) return refuse(place.pointer, "expected an object to merge with others");
  Json own = given;
  own.erase("$ref");
  own.erase("allOf");
  std::vector<std::pair<const Json*, Place>> parts;
  if (const auto ref = given.find("$ref"); ref != given.end()) {
    if (!ref->is_string()) return refuse(place.at("$ref").pointer, "expected a string");
    auto found = resolve(ref->get<std::string>(), place.at("$ref"));
    TROUPE_TRY(found);
    parts.emplace_back(*found, Place{ref->get<std::string>(), place.depth + 1});
  }
  if (const auto all = given.find("allOf"); all != given.end()) {
    if (!all->is_array() || all->empty())
      return refuse(place.at("allOf").pointer, "expected a list of schemas");
    for (std::size_t i = 0; i < all->size(); ++i) parts.emplace_back(&(*all)[i], place.at("allOf").at(i));
  }
  if (parts.empty()) return own;
  Json out = Json::object();  // what is shared comes first, as a base class's members do
  for (const auto& [part, where] : parts) {
    auto flat = flatten(*part, where);
    if (!flat) return flat;
    auto merged = merge_schemas(out, *flat);
    if (!merged) return refuse(where.pointer, merged.error().detail);
    out = std::move(*merged);
  }
  auto merged = merge_schemas(out, own);
  if (!merged) return refuse(place.pointer, merged.error().detail);
  return merged;
}

Expected<void> SchemaCompiler::check_one_of(const Json& options, const Place& place) const {
  std::vector<Json> flat;
  for (std::size_t i = 0; i < options.size(); ++i) {
    auto one = options[i].is_object() ? flatten(options[i], place.at(i)) : Expected<Json>(options[i]);
    TROUPE_TRY(one);
    flat.push_back(std::move(*one));
  }
  for (std::size_t i = 0; i < flat.size(); ++i)
    for (std::size_t j = i + 1; j < flat.size(); ++j)
      if (!surely_disjoint(flat[i], flat[j]))
        return refuse(place.pointer, "alternatives " + std::to_string(i) + " and " + std::to_string(j) +
                                         " may both match, which 'oneOf' forbids; use 'anyOf'");
  return {};
}

/// Whatever stands beside the alternatives holds for each of them.
Expected<Expr> SchemaCompiler::alternatives(const Json& given, const std::string& keyword,
                                            const Place& place) {
  const Json& options = given.at(keyword);
  const Place where = place.at(keyword);
  if (!options.is_array() || options.empty()) return refuse(where.pointer, "expected a list of schemas");
  constexpr std::size_t kMostOneOf = 64;  // compared pair by pair
  if (keyword == "oneOf") {
    if (options.size() > kMostOneOf) return refuse(where.pointer, "more than 64 alternatives");
    TROUPE_TRY(check_one_of(options, where));
  }
  Json rest = given;
  rest.erase(keyword);
  std::vector<Expr> exprs;
  for (std::size_t i = 0; i < options.size(); ++i) {
    Json joined = options[i];
    if (says_something(rest)) {
      if (!joined.is_object())
        return refuse(where.at(i).pointer, "expected an object to merge with what stands beside");
      auto flat = flatten(joined, where.at(i));
      TROUPE_TRY(flat);
      auto merged = merge_schemas(rest, *flat);
      if (!merged) return refuse(where.at(i).pointer, merged.error().detail);
      joined = std::move(*merged);
    }
    auto one = schema(joined, where.at(i));
    if (!one) return one;
    exprs.push_back(*one);
  }
  return builder_.choice(std::move(exprs));
}

Expected<Expr> SchemaCompiler::constants(const Json& values, const Json& given, const Place& place) {
  if (!values.is_array()) return refuse(place.at("enum").pointer, "expected a list of values");
  for (const auto& [keyword, value] : given.items())
    if (!is_annotation(keyword) && keyword != "type" && keyword != "enum" && keyword != "const" &&
        keyword != "nullable")
      return refuse(place.at(keyword).pointer,
                    "unsupported keyword '" + keyword + "' beside 'enum' or 'const'");
  const auto type = given.find("type");
  const auto allowed = [&](const Json& value) {
    if (given.contains("const") && given["const"] != value) return false;
    if (type == given.end()) return true;
    if (type->is_string()) return is_of_type(value, type->get<std::string>());
    return std::any_of(type->begin(), type->end(), [&](const Json& one) {
      return one.is_string() && is_of_type(value, one.get<std::string>());
    });
  };
  std::vector<Expr> options;
  for (const Json& value : values)
    if (allowed(value)) options.push_back(text_.value(value));
  return builder_.choice(std::move(options));
}

Expected<Expr> SchemaCompiler::typed(const std::string& type, const Json& given, const Place& place) {
  if (type == "null") return builder_.literal("null");
  if (type == "boolean") return text_.boolean();
  if (type == "string") return string(given, place);
  if (type == "number" || type == "integer") return number(given, type == "integer", place);
  if (type == "array") return array(given, place);
  if (type == "object") return object(given, place);
  return refuse(place.at("type").pointer, "unknown type '" + type + "'");
}

}  // namespace troupe::grammar
