#include "services/gateway/json_reader.hpp"

#include <vector>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

tl::unexpected<ApiError> malformed(std::string what, std::size_t at) {
  return refuse("malformed_json", "",
                "the body is not acceptable JSON: " + what + " at byte " + std::to_string(at));
}

/// Nesting and keys are counted before anything is built from them. Needs no valid JSON, only quotes and
/// brackets.
Parsed<void> check_shape(std::string_view body, const JsonLimits& limits) {
  std::vector<std::size_t> keys_of{0};
  std::size_t keys = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') {
      if (keys_of.size() > limits.depth)
        return malformed("nesting deeper than " + std::to_string(limits.depth), i);
      keys_of.push_back(0);
    }
    if ((c == '}' || c == ']') && keys_of.size() > 1) keys_of.pop_back();
    if (c == ':') {
      if (++keys_of.back() > limits.keys_per_object) {
        return malformed("an object of more than " + std::to_string(limits.keys_per_object) + " keys", i);
      }
      if (++keys > limits.keys) return malformed("more than " + std::to_string(limits.keys) + " keys", i);
    }
  }
  return {};
}

}  // namespace

Parsed<Json> read_json(std::string_view body, const JsonLimits& limits) {
  if (const auto at = invalid_utf8_at(body)) {
    return refuse("invalid_utf8", "", "the body is not valid UTF-8 at byte " + std::to_string(*at));
  }
  if (auto shape = check_shape(body, limits); !shape)
    return tl::unexpected<ApiError>(std::move(shape.error()));
  try {
    return Json::parse(body.begin(), body.end());
  } catch (const nlohmann::json::parse_error& e) {
    return malformed("a syntax error", e.byte);
  } catch (const nlohmann::json::exception&) {
    return malformed("a number out of range", 0);
  }
}

std::string describe(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

}  // namespace troupe::gateway
