#include "services/gateway/http_errors.hpp"

#include "services/gateway/json_text.hpp"

#include <algorithm>

namespace troupe::gateway {
namespace {

std::string_view type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

ApiError to_api(const Error& error, std::string_view param) {
  ApiError api;
  api.status = http_status(error.code);
  api.code = name(error.code);
  api.param = param;
  api.message = error.detail.empty() ? std::string(sentence(error.code)) : error.detail;
  if (api.status == 429 || api.status == 503)
    api.retry_after_seconds =
        std::max(1, static_cast<int>((std::uint64_t{error.retry_after_ms} + 999) / 1000));
  return api;
}

std::string printable(const std::string& text) {
  return invalid_utf8_at(text) ? std::string("the detail is not valid UTF-8") : text;
}

std::string to_json(const ApiError& error) {
  std::string out = "{\"error\":{\"message\":";
  append_quoted(out, printable(error.message));
  out += ",\"type\":";
  append_quoted(out, type_of(error.status));
  out += ",\"param\":";
  if (error.param.empty()) {
    out += "null";
  } else {
    append_quoted(out, printable(error.param));
  }
  out += ",\"code\":";
  append_quoted(out, error.code);
  out += "}}";
  return out;
}

Response to_response(const ApiError& error) {
  Response response;
  response.status = error.status;
  response.body = to_json(error);
  response.headers = error.headers;
  if (error.retry_after_seconds > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retry_after_seconds)});
  }
  return response;
}

}  // namespace troupe::gateway
