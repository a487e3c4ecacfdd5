#pragma once
// From Beast's requests to ours, and why one could not be read.
#include <boost/beast/http.hpp>

#include "services/gateway/http_server.hpp"

namespace troupe::gateway {

/// Without id and body.
[[nodiscard]] Request head_of(const boost::beast::http::request<boost::beast::http::string_body>& message);
/// What a client is told of a request that breaks HTTP or a limit. `limits`, `body_limit`: that request's.
[[nodiscard]] ApiError protocol_error(const boost::system::error_code& ec, const HttpLimits& limits,
                                      const BodyLimit& body_limit);

}  // namespace troupe::gateway
