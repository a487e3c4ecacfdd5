#include "services/gateway/request_trace.hpp"

#include <chrono>

namespace troupe::gateway {

std::shared_ptr<RequestTrace> RequestTrace::begin(std::shared_ptr<trace::Tracer> tracer,
                                                  std::string_view traceparent, const RequestId& request) {
  if (!tracer) return nullptr;
  const auto caller = traceparent.empty() ? std::nullopt : trace::parse_traceparent(traceparent);
  const auto context = tracer->begin(caller);
  if (!context) return nullptr;
  return std::shared_ptr<RequestTrace>(
      new RequestTrace(std::move(tracer), *context, caller ? caller->span : trace::SpanId{}, request));
}

RequestTrace::RequestTrace(std::shared_ptr<trace::Tracer> tracer, const trace::TraceContext& context,
                           trace::SpanId caller, const RequestId& request)
    : tracer_(std::move(tracer)),
      context_(context),
      caller_(caller),
      request_(request),
      trace_id_(to_hex(context.trace)),
      epoch_ns_(trace::unix_ns(TimePoint{})) {}

void RequestTrace::stage(std::string_view name, TimePoint from, TimePoint to, Numbers numbers) const {
  tracer_->record({context_.trace, trace::random_span_id(), context_.span, request_, name, false, false,
                   unix_ns(from), unix_ns(to), std::move(numbers)});
}

void RequestTrace::end(TimePoint arrived, bool failed, Numbers numbers) const {
  tracer_->record({context_.trace, context_.span, caller_, request_, "request", true, failed,
                   unix_ns(arrived), unix_ns(std::chrono::steady_clock::now()), std::move(numbers)});
}

}  // namespace troupe::gateway
