#pragma once
// A piece of work of one request, by one role.
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/trace/context.hpp"

namespace troupe::trace {

/// Who did it: a role, as one process of the cluster runs it.
struct Origin {
  std::string role;      ///< "gateway", "router", "prefill", "decode"; empty: who records the span
  std::string instance;  ///< its name in the cluster; empty: not said
  auto operator<=>(const Origin&) const = default;
};

/// Names and keys are of the program, never a client's.
struct Span {
  TraceId trace;
  SpanId id;
  SpanId parent;  ///< 0: none
  RequestId request;
  std::string name;
  bool server = false;  ///< it answers somebody outside the cluster
  bool failed = false;
  std::int64_t start_ns = 0, end_ns = 0;                            ///< since 1970
  std::vector<std::pair<std::string, std::int64_t>> numbers = {};  ///< attributes
  std::vector<std::pair<std::string, std::string>> texts = {};     ///< attributes
  Origin origin = {};
};

/// OTLP/HTTP's JSON body (opentelemetry-proto, trace/v1): a resource for each origin, with service.name
/// "troupe-<role>" and service.instance.id. `own` stands for spans that name no origin.
[[nodiscard]] std::string to_otlp(const Origin& own, const std::vector<Span>& spans);

/// Spans of one process, as the Chrome trace viewer and Perfetto read them: one row for each nesting of a
/// request, and further ones for what overlaps.
struct ProcessSpans {
  std::string process;
  std::vector<Span> spans;  ///< by start
};
[[nodiscard]] std::string to_chrome(const std::vector<ProcessSpans>& processes);

/// One entry for each origin, in the order of their first spans, as "role" or "role instance". `spans` come by
/// start, and stay so; `own` as in to_otlp.
[[nodiscard]] std::vector<ProcessSpans> by_process(const std::vector<Span>& spans, const Origin& own);

}  // namespace troupe::trace
