#pragma once
// JSON from a client, read under limits: nothing about its shape may cost more than its size allows.
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

/// Keeps the order of keys: templates print objects in it.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t depth = 64;
  std::size_t keys_per_object = 1024;  ///< looking a key up walks the object
  std::size_t keys = 100'000;
};

/// Errors: invalid_utf8 and malformed_json with the byte offset; never quotes the text.
[[nodiscard]] Parsed<Json> read_json(std::string_view body, const JsonLimits& limits = {});

/// "a string", "an array", "3.5": what an error message says was found. Strings' contents are not repeated.
[[nodiscard]] std::string describe(const Json& value);

}  // namespace troupe::gateway
