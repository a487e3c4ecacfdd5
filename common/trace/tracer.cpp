#include "common/trace/tracer.hpp"

#include <algorithm>
#include <iterator>

namespace troupe::trace {
namespace {

/// The low half of a trace id is random: a share of its range is a share of the traces.
bool falls_within(const TraceId& trace, double ratio) {
  if (ratio >= 1) return true;
  return static_cast<double>(trace.low >> 11) < ratio * static_cast<double>(1ULL << 53);
}

}  // namespace

std::optional<TraceContext> Tracer::begin(const std::optional<TraceContext>& caller) const {
  const bool asked = caller && caller->sampled && options_.follow_caller;
  if (!asked && options_.ratio <= 0) return std::nullopt;
  if (!asked && caller && options_.follow_caller) return std::nullopt;  // its caller decided against it
  TraceContext context;
  context.trace = caller ? caller->trace : random_id<TraceId>();
  if (!asked && !falls_within(context.trace, options_.ratio)) return std::nullopt;
  context.span = random_span_id();
  context.sampled = true;
  return context;
}

void Tracer::record(Span span) {
  if (sink_) sink_(span);
  const std::lock_guard lock(mutex_);
  if (options_.kept_spans == 0) return;
  if (kept_.size() >= options_.kept_spans) kept_.pop_front();
  kept_.push_back(std::move(span));
}

std::vector<Span> Tracer::of(const RequestId& request) const {
  std::vector<Span> found;
  {
    const std::lock_guard lock(mutex_);
    std::ranges::copy_if(kept_, std::back_inserter(found),
                         [&](const Span& span) { return span.request == request; });
  }
  std::ranges::stable_sort(found, {}, &Span::start_ns);
  return found;
}

std::int64_t unix_ns(TimePoint at) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ago = std::chrono::steady_clock::now() - at;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now - ago).count();
}

}  // namespace troupe::trace
