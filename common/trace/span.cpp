#include "common/trace/span.hpp"

#include <algorithm>
#include <map>

namespace troupe::trace {
namespace {

/// As JSON text in quotes. What stands here is of the configuration; whatever it is, the document stays
/// whole.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  out += '"';
}

void append_otlp(std::string& out, const Span& span) {
  out.append("{\"traceId\":\"").append(troupe::to_hex(span.trace));
  out.append("\",\"spanId\":\"").append(to_hex(span.id)).append("\"");
  if (span.parent.value != 0) out.append(",\"parentSpanId\":\"").append(to_hex(span.parent)).append("\"");
  out.append(",\"name\":");
  append_quoted(out, span.name);
  out.append(",\"kind\":").append(span.server ? "2" : "1");
  // 64-bit numbers are strings in protobuf's JSON.
  out.append(",\"startTimeUnixNano\":\"").append(std::to_string(span.start_ns));
  out.append("\",\"endTimeUnixNano\":\"").append(std::to_string(span.end_ns));
  out.append("\",\"attributes\":[{\"key\":\"troupe.request\",\"value\":{\"stringValue\":\"");
  out.append(troupe::to_hex(span.request)).append("\"}}");
  for (const auto& [key, value] : span.numbers) {
    out.append(",{\"key\":");
    append_quoted(out, key);
    out.append(",\"value\":{\"intValue\":\"").append(std::to_string(value)).append("\"}}");
  }
  out.append(span.failed ? "],\"status\":{\"code\":2}}" : "],\"status\":{}}");
}

std::string microseconds(std::int64_t ns) {
  std::string text = std::to_string(ns / 1000);
  text += '.';
  const std::string rest = std::to_string(ns % 1000);
  return text.append(3 - rest.size(), '0').append(rest);
}

/// How deep a span stands below those of its own process.
std::size_t depth(const Span& span, const std::map<std::uint64_t, const Span*>& by_id) {
  std::size_t levels = 0;
  for (auto at = by_id.find(span.parent.value); at != by_id.end() && levels < 64;
       at = by_id.find(at->second->parent.value))
    ++levels;
  return levels;
}

void append_chrome(std::string& out, const Span& span, std::size_t row, const std::string& where) {
  out.append(",\n{\"name\":");
  append_quoted(out, span.name);
  out.append(",\"cat\":\"troupe\",\"ph\":\"X\",\"tid\":").append(std::to_string(row)).append(where);
  out.append(",\"ts\":").append(microseconds(span.start_ns));
  out.append(",\"dur\":").append(microseconds(std::max<std::int64_t>(0, span.end_ns - span.start_ns)));
  out.append(",\"args\":{\"span\":\"").append(to_hex(span.id));
  out.append("\",\"parent\":\"").append(to_hex(span.parent));
  out.append("\",\"failed\":").append(span.failed ? "true" : "false");
  for (const auto& [key, value] : span.numbers) {
    out.append(",");
    append_quoted(out, key);
    out.append(":").append(std::to_string(value));
  }
  out.append("}}");
}

}  // namespace

std::string to_otlp(std::string_view service, const std::vector<Span>& spans) {
  std::string out =
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
      "\"stringValue\":";
  append_quoted(out, service);
  out += "}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"troupe\"},\"spans\":[";
  for (const Span& span : spans) {
    if (&span != spans.data()) out += ',';
    append_otlp(out, span);
  }
  return out + "]}]}]}";
}

std::string to_chrome(const std::vector<ProcessSpans>& processes) {
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  for (std::size_t pid = 0; pid < processes.size(); ++pid) {
    const ProcessSpans& process = processes[pid];
    if (pid != 0) out.append(",\n");
    std::string where(",\"pid\":");
    where.append(std::to_string(pid + 1));
    out.append("{\"name\":\"process_name\",\"ph\":\"M\",\"tid\":0")
        .append(where)
        .append(",\"args\":{\"name\":");
    append_quoted(out, process.process);
    out.append("}}");
    std::map<std::uint64_t, const Span*> by_id;
    for (const Span& span : process.spans) by_id[span.id.value] = &span;
    for (const Span& span : process.spans) append_chrome(out, span, depth(span, by_id), where);
  }
  return out.append("]}\n");
}

}  // namespace troupe::trace
