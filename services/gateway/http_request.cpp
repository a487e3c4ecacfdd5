#include "services/gateway/http_request.hpp"

#include <string>
#include <string_view>

namespace troupe::gateway {
namespace {

namespace http = boost::beast::http;

std::string_view origin_form(std::string_view target) {
  const auto scheme = target.find("://");
  if (scheme == std::string_view::npos || target.starts_with('/')) return target;
  const auto slash = target.find('/', scheme + 3);  // absolute form, as a proxy would get it
  return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

}  // namespace

Request head_of(const http::request<http::string_body>& message) {
  Request request;
  request.method = message.method() == http::verb::head ? "GET" : std::string(message.method_string());
  const auto target = origin_form({message.target().data(), message.target().size()});
  const auto mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return request;
}

ApiError protocol_error(const boost::system::error_code& ec, const HttpLimits& limits,
                        const BodyLimit& body_limit) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    return to_api(Error{Errc::header_too_large,
                        "the header is over " + std::to_string(limits.max_header_bytes) + " bytes"});
  }
  if (ec == http::error::body_limit) {
    if (body_limit.beyond) return *body_limit.beyond;
    return to_api(
        Error{Errc::body_too_large, "the body is over " + std::to_string(body_limit.bytes) + " bytes"});
  }
  return to_api(Error{Errc::malformed_http, "the request is not valid HTTP/1.1: " + ec.message()});
}

}  // namespace troupe::gateway
