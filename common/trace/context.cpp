#include "common/trace/context.hpp"

#include <algorithm>
#include <array>

namespace troupe::trace {
namespace {

// version 2, trace 32, span 16, flags 2, and a hyphen between each
constexpr std::size_t kTraceAt = 3, kSpanAt = 36, kFlagsAt = 53, kLength = 55;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::uint64_t number(std::string_view hex) {
  std::uint64_t value = 0;
  for (const char c : hex) value = value << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return value;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view value) {
  if (value.size() < kLength) return std::nullopt;
  const std::string_view version = value.substr(0, 2), trace = value.substr(kTraceAt, 32),
                         span = value.substr(kSpanAt, 16), flags = value.substr(kFlagsAt, 2);
  const bool hyphens = value[kTraceAt - 1] == '-' && value[kSpanAt - 1] == '-' && value[kFlagsAt - 1] == '-';
  const bool ends = value.size() == kLength || (version != "00" && value[kLength] == '-');
  if (!hyphens || !ends || version == "ff" || !is_hex(version) || !is_hex(trace) || !is_hex(span) ||
      !is_hex(flags))
    return std::nullopt;
  TraceContext context;
  context.trace = {number(trace.substr(0, 16)), number(trace.substr(16))};
  context.span = {number(span)};
  context.sampled = (number(flags) & 1) != 0;
  if (context.trace.is_zero() || context.span.value == 0) return std::nullopt;
  return context;
}

std::string to_traceparent(const TraceContext& context) {
  return "00-" + troupe::to_hex(context.trace) + "-" + to_hex(context.span) +
         (context.sampled ? "-01" : "-00");
}

std::string to_hex(SpanId id) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = kDigits[id.value >> (60 - 4 * i) & 15];
  return text;
}

SpanId random_span_id() {
  SpanId id;
  while (id.value == 0) troupe::detail::random_bytes(&id.value, sizeof id.value);
  return id;
}

}  // namespace troupe::trace
