#pragma once
// "GET /v1/requests/<id>/events?from=N": which stream, from which event on.
#include <cstdint>
#include <string>

#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

struct ResumeTarget {
  bool matches = false;  ///< the path is of this form
  RequestId id;
  std::uint64_t from = 0;  ///< first event wanted
  std::string error;       ///< what is wrong with the id or the number; "" when nothing is
};

/// The id may carry the prefix it has in answers ("chatcmpl-", "cmpl-", "resp_"). Without `from` a Last-Event-ID
/// header counts: an EventSource that connects again sends the last number it saw.
[[nodiscard]] ResumeTarget resume_target(const Request& request);

}  // namespace troupe::gateway
