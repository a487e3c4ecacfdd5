#pragma once
// Errors as OpenAI clients expect them: {"error":{"message","type","param","code"}}.
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

struct ApiError {
  int status = 400;
  std::string code;             ///< stable; clients branch on it
  std::string param;            ///< the field at fault, as a path: "messages[0].content"; "" is null
  std::string message;          ///< what was found and what was expected
  int retry_after_seconds = 0;  ///< sent as Retry-After when over 0
  std::vector<Header> headers = {};
};

template <class T>
using Parsed = tl::expected<T, ApiError>;

[[nodiscard]] inline tl::unexpected<ApiError> refuse(std::string code, std::string param,
                                                     std::string message) {
  return tl::unexpected<ApiError>(ApiError{400, std::move(code), std::move(param), std::move(message), 0});
}

/// Status, code and retry hint from the table in error_codes.def.
[[nodiscard]] ApiError to_api(const Error& error, std::string_view param = {});
/// A text as a JSON answer may have it: a detail may quote what a client sent, and bytes that are no UTF-8
/// must not make the answer unreadable.
[[nodiscard]] std::string printable(const std::string& text);
/// The body, and as the payload of a stream's error event.
[[nodiscard]] std::string to_json(const ApiError& error);
[[nodiscard]] Response to_response(const ApiError& error);
/// How an API writes an error; to_response is OpenAI's.
using ErrorForm = Response (*)(const ApiError& error);

}  // namespace troupe::gateway
