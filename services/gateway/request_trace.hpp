#pragma once
// The spans of one recorded request, the gateway's and those that other roles send (trace_book.hpp). A request that is not recorded has none of this.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/trace/tracer.hpp"

namespace troupe::gateway {

/// Threads: any.
class RequestTrace {
 public:
  using Numbers = std::vector<std::pair<std::string, std::int64_t>>;

  /// Null when the request is not recorded. `tracer` may be null: nothing is. `traceparent`: the header's
  /// value, "" without one.
  [[nodiscard]] static std::shared_ptr<RequestTrace> begin(std::shared_ptr<trace::Tracer> tracer,
                                                           std::string_view traceparent,
                                                           const RequestId& request);

  /// 32 hex digits.
  [[nodiscard]] const std::string& trace_id() const { return trace_id_; }
  [[nodiscard]] const trace::TraceContext& context() const { return context_; }
  /// A stage of the request that is over. 
  void stage(std::string_view name, TimePoint from, TimePoint to, Numbers numbers = {}) const;
  /// A piece of it that has an id of its own, or that another role did. Trace, request and times are filled in.
  void add(trace::Span span, TimePoint from, TimePoint to) const;
  /// The request itself is over.
  void end(TimePoint arrived, bool failed, Numbers numbers) const;

 private:
  [[nodiscard]] std::int64_t unix_ns(TimePoint at) const { return epoch_ns_ + at.time_since_epoch().count(); }
  RequestTrace(std::shared_ptr<trace::Tracer> tracer, const trace::TraceContext& context,
               trace::SpanId caller, const RequestId& request);

  const std::shared_ptr<trace::Tracer> tracer_;
  const trace::TraceContext context_;
  const trace::SpanId caller_;
  const RequestId request_;
  const std::string trace_id_;
  const std::int64_t
      epoch_ns_;  ///< of the steady clock, since 1970: one for all spans, so that they nest exactly
};

}  // namespace troupe::gateway
