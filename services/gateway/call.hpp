#pragma once
// One HTTP request inside the edge: the request, the way to answer it, and its row in the metrics.
#include <memory>
#include <string_view>
#include <utility>

#include "common/base/clock.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/http_types.hpp"
#include "services/gateway/metrics.hpp"
#include "services/gateway/request_log.hpp"
#include "services/gateway/request_trace.hpp"
#include "services/gateway/visit.hpp"

namespace troupe::gateway {

struct Call {
  Request request;
  std::shared_ptr<ResponseWriter> writer;
  std::shared_ptr<const EdgeMetrics> metrics;  ///< outlives the edge as long as an answer is under way
  std::size_t route = 0;
  TimePoint arrived;
  std::shared_ptr<RequestLog> log = nullptr;  ///< of what generates; likewise
  std::shared_ptr<const RequestTrace> trace = nullptr;  ///< null: the request is not recorded
  std::shared_ptr<Visit> visit = nullptr;  ///< who asks; null before a door, and where there is none
  ErrorForm error_form = to_response;      ///< how its API writes errors

  /// For an exemplar; "" when the request is not recorded.
  [[nodiscard]] std::string_view trace_id() const {
    return trace ? std::string_view(trace->trace_id()) : std::string_view{};
  }

  /// Its answer has this status, and ends now: 499: the client left; 0: broken off after its head was sent.
  void over(int status) const {
    metrics->count_request(route, status);
    if (visit) visit->over(status);
  }
  void reply(Response response) const {
    over(response.status);
    writer->respond(std::move(response));
  }
  void reply(const ApiError& error) const { reply(error_form(error)); }
  void reply_json(std::string body) const { reply(Response{200, "application/json", std::move(body), {}}); }
};

}  // namespace troupe::gateway
