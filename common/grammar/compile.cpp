// Each kind of source, as a grammar.
#include <set>

#include "common/grammar/gbnf.hpp"
#include "common/grammar/json_schema.hpp"
#include "common/grammar/tagged.hpp"

namespace troupe::grammar {
namespace {

using Result = Expected<std::shared_ptr<const Grammar>>;

Result finish(Builder& builder, Expr body, const Limits& limits) {
  const Rule root = builder.add_rule("root");
  builder.define(root, body);
  return builder.finish(root, limits);
}

/// Brackets in brackets, counted before a parser builds anything.
bool nested_within(std::string_view json, std::uint32_t most) {
  std::uint32_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if ((c == '{' || c == '[') && ++depth > most) return false;
    if ((c == '}' || c == ']') && depth > 0) --depth;
  }
  return true;
}

Expected<Json> parse_json(std::string_view text, const Limits& limits) {
  if (!nested_within(text, limits.nesting * 4)) return fail(Errc::invalid_argument, "#: nested too deeply");
  Json out = Json::parse(text.begin(), text.end(), nullptr, false);
  if (out.is_discarded()) return fail(Errc::invalid_argument, "#: not valid JSON");
  return out;
}

Result compile_object(const Limits& limits) {
  Builder builder;
  JsonText text(builder);
  return finish(builder, text.any_object(), limits);
}

Result compile_schema(std::string_view source, const Limits& limits) {
  const auto root = parse_json(source, limits);
  TROUPE_TRY(root);
  Builder builder;
  auto body = SchemaCompiler(builder, *root, limits).compile();
  TROUPE_TRY(body);
  auto made = finish(builder, *body, limits);
  if (!made) return fail(made.error().code, "#: " + made.error().detail);
  return made;
}

Result compile_regex(std::string_view pattern, const Limits& limits) {
  Builder builder;
  RegexOptions options;
  options.nesting = limits.nesting;
  auto regex = parse_regex(builder, pattern, options);
  TROUPE_TRY(regex);
  return finish(builder, regex->expr, limits);
}

Result compile_choice(std::string_view source, const Limits& limits) {
  const auto list = parse_json(source, limits);
  TROUPE_TRY(list);
  if (!list->is_array() || list->empty()) return fail(Errc::invalid_argument, "expected a list of strings");
  Builder builder;
  std::vector<Expr> options;
  for (const Json& one : *list) {
    if (!one.is_string()) return fail(Errc::invalid_argument, "expected a list of strings");
    options.push_back(builder.literal(one.get_ref<const std::string&>()));
  }
  return finish(builder, builder.choice(std::move(options)), limits);
}

Result compile_gbnf(std::string_view source, const Limits& limits) {
  Builder builder;
  auto root = parse_gbnf(builder, source, limits);
  TROUPE_TRY(root);
  return builder.finish(*root, limits);
}

Result compile_tagged(std::string_view source, const Limits& limits) {
  const auto form = parse_json(source, limits);
  TROUPE_TRY(form);
  Builder builder;
  auto body = tagged(builder, *form, limits);
  TROUPE_TRY(body);
  return finish(builder, *body, limits);
}

Expected<void> check_strict(const Json& schema, const std::string& pointer) {
  const auto refuse = [&](const std::string& what) {
    return fail(Errc::invalid_argument, pointer + ": " + what);
  };
  if (schema.is_array()) {
    for (std::size_t i = 0; i < schema.size(); ++i)
      TROUPE_TRY(check_strict(schema[i], pointer + "/" + std::to_string(i)));
    return {};
  }
  if (!schema.is_object()) return {};
  const auto properties = schema.find("properties");
  const auto type = schema.find("type");
  if (properties != schema.end() || (type != schema.end() && *type == "object")) {
    const auto further = schema.find("additionalProperties");
    if (further == schema.end() || *further != false)
      return refuse("strict needs 'additionalProperties' to be false");
    std::set<std::string> required;
    if (const auto list = schema.find("required"); list != schema.end() && list->is_array())
      for (const Json& name : *list)
        if (name.is_string()) required.insert(name.get<std::string>());
    if (properties != schema.end() && properties->is_object())
      for (const auto& [name, value] : properties->items())
        if (!required.contains(name)) return refuse("strict needs '" + name + "' in 'required'");
  }
  for (const auto& [keyword, value] : schema.items()) {
    const std::string where = pointer + "/" + keyword;
    if (keyword == "properties" || keyword == "$defs" || keyword == "definitions") {
      if (!value.is_object()) continue;
      for (const auto& [name, inner] : value.items()) TROUPE_TRY(check_strict(inner, where + "/" + name));
    } else if (keyword == "items" || keyword == "prefixItems" || keyword == "anyOf" || keyword == "oneOf" ||
               keyword == "allOf") {
      TROUPE_TRY(check_strict(value, where));
    }
  }
  return {};
}

}  // namespace

Expected<std::shared_ptr<const Grammar>> compile(const Source& source, const Limits& limits) {
  if (source.text.size() > limits.source_bytes)
    return fail(Errc::invalid_argument, "it has " + std::to_string(source.text.size()) + " bytes, at most " +
                                            std::to_string(limits.source_bytes) + " are supported");
  switch (source.kind) {
    case Kind::none:
      break;
    case Kind::json_object:
      return compile_object(limits);
    case Kind::json_schema:
      return compile_schema(source.text, limits);
    case Kind::regex:
      return compile_regex(source.text, limits);
    case Kind::choice:
      return compile_choice(source.text, limits);
    case Kind::gbnf:
      return compile_gbnf(source.text, limits);
    case Kind::tagged:
      return compile_tagged(source.text, limits);
  }
  return fail(Errc::invalid_argument, "there is nothing to compile");
}

Expected<void> check_strict(std::string_view schema) {
  const auto root = parse_json(schema, {});
  TROUPE_TRY(root);
  return check_strict(*root, "#");
}

}  // namespace troupe::grammar
