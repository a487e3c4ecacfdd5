#include "services/gateway/anthropic/message_errors.hpp"

#include <string_view>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway::anthropic {
namespace {

constexpr int kOverloaded = 529;

/// A full queue is 429 elsewhere; here that is for a key's limits alone.
int status_of(const ApiError& error) {
  return error.status == 503 || error.code == name(Errc::queue_full) ? kOverloaded : error.status;
}

std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case kOverloaded:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

std::string error_json(const ApiError& error) {
  std::string out = "{\"type\":\"error\",\"error\":{\"type\":";
  append_quoted(out, type_of(status_of(error)));
  out += ",\"message\":";
  append_quoted(out, printable(error.message));
  return out + "}}";
}

Response error_response(const ApiError& error) {
  Response response = to_response(error);  // for its headers
  response.status = status_of(error);
  response.body = error_json(error);
  return response;
}

}  // namespace troupe::gateway::anthropic
