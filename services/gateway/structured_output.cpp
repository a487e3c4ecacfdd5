#include "services/gateway/structured_output.hpp"

#include <string>
#include <vector>

#include "common/grammar/grammar.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

using grammar::Kind;
using grammar::Source;

struct Wish {
  std::string path;  ///< of the field, for messages
  Source source;
  bool strict = false;
};
using Wishes = std::vector<Wish>;

tl::unexpected<ApiError> refuse_value(const std::string& path, const std::string& what) {
  return refuse("invalid_value", path, path + ": " + what);
}

/// A schema that is given as an object, or as its text.
std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The value of a key, unless it is absent or empty: clients send "" for no grammar.
const Json* find_filled(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  if (value == nullptr) return nullptr;
  return value->is_string() && value->get_ref<const std::string&>().empty() ? nullptr : value;
}

void wish_schema(const Json* schema, const std::string& path, bool strict, Wishes& out) {
  if (schema == nullptr)
    out.push_back({path, {Kind::json_object, {}}});
  else
    out.push_back({path, {Kind::json_schema, text_of(*schema)}, strict});
}

Parsed<void> read_response_format(const Json& format, Wishes& out) {
  const std::string path = "response_format";
  if (format.empty()) return {};
  if (auto checked = check_fields(format, kResponseFormat, path + "."); !checked) return checked;
  const Json* type = find_value(format, "type");
  if (type == nullptr)
    return refuse("missing_required_parameter", path + ".type", path + ".type is required");
  if (*type == "text") return {};
  const Json* plain = find_value(format, "schema");
  if (*type == "json_object") {
    wish_schema(plain, plain == nullptr ? path : path + ".schema", false, out);
    return {};
  }
  if (*type != "json_schema")
    return refuse_value(path + ".type", "expected one of text, json_object, json_schema");
  const Json* described = find_value(format, "json_schema");
  if (described == nullptr && plain == nullptr)
    return refuse("missing_required_parameter", path + ".json_schema", path + ".json_schema is required");
  if (described == nullptr) {
    wish_schema(plain, path + ".schema", false, out);
    return {};
  }
  if (auto checked = check_fields(*described, kJsonSchema, path + ".json_schema."); !checked) return checked;
  const Json* strict = find_value(*described, "strict");
  wish_schema(find_value(*described, "schema"), path + ".json_schema.schema",
              strict != nullptr && strict->get<bool>(), out);
  return {};
}

/// Fields of one spelling: prefix "guided_" or "structured_outputs.".
void read_fields(const Json& object, const std::string& shown, const std::string& prefix, Wishes& out) {
  const auto find = [&](const char* name) { return find_filled(object, prefix + name); };
  if (const Json* schema = find("json"))
    out.push_back({shown + "json", {Kind::json_schema, text_of(*schema)}});
  if (const Json* regex = find("regex"))
    out.push_back({shown + "regex", {Kind::regex, regex->get<std::string>()}});
  if (const Json* choice = find("choice")) out.push_back({shown + "choice", {Kind::choice, choice->dump()}});
  if (const Json* rules = find("grammar"))
    out.push_back({shown + "grammar", {Kind::gbnf, rules->get<std::string>()}});
}

Parsed<void> check(const Wish& wish) {
  const auto strict = wish.strict ? grammar::check_strict(wish.source.text) : Expected<void>();
  if (!strict) return refuse_value(wish.path, strict.error().detail);
  if (const auto compiled = grammar::compile(wish.source); !compiled)
    return refuse_value(wish.path, compiled.error().detail);
  return {};
}

}  // namespace

Parsed<Source> read_structured_output(const Json& object) {
  Wishes wishes;
  if (const Json* format = find_value(object, "response_format"))
    if (auto read = read_response_format(*format, wishes); !read)
      return tl::unexpected<ApiError>(std::move(read.error()));
  read_fields(object, "guided_", "guided_", wishes);
  if (const Json* nested = find_value(object, "structured_outputs")) {
    const std::string path = "structured_outputs.";
    if (auto checked = check_fields(*nested, kStructured, path); !checked)
      return tl::unexpected<ApiError>(std::move(checked.error()));
    read_fields(*nested, path, "", wishes);
    if (const Json* any = find_value(*nested, "json_object"); any != nullptr && any->get<bool>())
      wishes.push_back({path + "json_object", {Kind::json_object, {}}});
  }
  if (const Json* rules = find_filled(object, "grammar"))
    wishes.push_back({"grammar", {Kind::gbnf, rules->get<std::string>()}});
  if (const Json* schema = find_value(object, "json_schema"))
    wish_schema(schema, "json_schema", false, wishes);
  if (wishes.empty()) return Source{};
  if (wishes.size() > 1)
    return refuse_value(wishes[1].path, "given together with " + wishes[0].path + ", one of them can hold");
  if (auto checked = check(wishes.front()); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  return std::move(wishes.front().source);
}

}  // namespace troupe::gateway
