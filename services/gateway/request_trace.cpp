#include "services/gateway/request_trace.hpp"

#include <algorithm>
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
  trace::Span span;
  span.id = trace::random_span_id();
  span.parent = context_.span;
  span.name = name;
  span.numbers = std::move(numbers);
  add(std::move(span), from, to);
}

void RequestTrace::add(trace::Span span, TimePoint from, TimePoint to) const {
  span.trace = context_.trace;
  span.request = request_;
  span.start_ns = unix_ns(from);
  span.end_ns = unix_ns(std::max(from, to));
  tracer_->record(std::move(span));
}

void RequestTrace::end(TimePoint arrived, bool failed, Numbers numbers) const {
  trace::Span span;
  span.id = context_.span;
  span.parent = caller_;
  span.name = "request";
  span.server = true;
  span.failed = failed;
  span.numbers = std::move(numbers);
  add(std::move(span), arrived, std::chrono::steady_clock::now());
}

}  // namespace troupe::gateway
