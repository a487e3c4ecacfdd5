#pragma once
// A piece of work of one request, by one role.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/trace/context.hpp"

namespace troupe::trace {

/// Names and keys are of the program, never a client's.
struct Span {
  TraceId trace;
  SpanId id;
  SpanId parent;  ///< 0: none
  RequestId request;
  std::string_view name;  ///< a literal
  bool server = false;    ///< it answers somebody outside the cluster
  bool failed = false;
  std::int64_t start_ns = 0, end_ns = 0;                                ///< since 1970
  std::vector<std::pair<std::string_view, std::int64_t>> numbers = {};  ///< attributes
};

/// OTLP/HTTP's JSON body for spans of one process (opentelemetry-proto, trace/v1). `service` is the
/// resource's service.name.
[[nodiscard]] std::string to_otlp(std::string_view service, const std::vector<Span>& spans);

/// Spans of one process, as the Chrome trace viewer and Perfetto read them: one row for each nesting of a
/// request.
struct ProcessSpans {
  std::string process;
  std::vector<Span> spans;
};
[[nodiscard]] std::string to_chrome(const std::vector<ProcessSpans>& processes);

}  // namespace troupe::trace
