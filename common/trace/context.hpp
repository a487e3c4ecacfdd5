#pragma once
// Which trace something belongs to, as W3C Trace Context writes it (level 1, recommendation of 2021).
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.hpp"

namespace troupe::trace {

using TraceId = Id128<struct TraceTag>;
using SpanId = StrongId<struct SpanTag>;  ///< 0: none

struct TraceContext {
  TraceId trace;
  SpanId span;           ///< of whoever calls
  bool sampled = false;  ///< the caller records it and asks others to
  bool operator==(const TraceContext&) const = default;
};

/// A `traceparent` header's value. Nothing when it is malformed, of version ff, or has an id of zeros: then a
/// new trace begins, as the recommendation says. Later versions are read as far as this one goes.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view value);
[[nodiscard]] std::string to_traceparent(const TraceContext& context);

/// 16 lower-case hex digits.
[[nodiscard]] std::string to_hex(SpanId id);
/// Of the system's random source, never zero.
[[nodiscard]] SpanId random_span_id();

}  // namespace troupe::trace
