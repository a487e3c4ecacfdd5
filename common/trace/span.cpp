#include "common/trace/span.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

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

void append_attribute(std::string& out, std::string_view key, std::string_view value) {
  out.append("{\"key\":");
  append_quoted(out, key);
  out.append(",\"value\":{\"stringValue\":");
  append_quoted(out, value);
  out.append("}}");
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
  for (const auto& [key, value] : span.texts) {
    out.append(",");
    append_attribute(out, key, value);
  }
  out.append(span.failed ? "],\"status\":{\"code\":2}}" : "],\"status\":{}}");
}

std::string microseconds(std::int64_t ns) {
  std::string text = std::to_string(ns / 1000);
  text += '.';
  const std::string rest = std::to_string(ns % 1000);
  return text.append(3 - rest.size(), '0').append(rest);
}

/// Spans by who did them, in the order of the first of each.
std::vector<std::pair<Origin, std::vector<const Span*>>> by_origin(const std::vector<Span>& spans,
                                                                   const Origin& own) {
  std::vector<std::pair<Origin, std::vector<const Span*>>> out;
  for (const Span& span : spans) {
    const Origin& origin = span.origin.role.empty() ? own : span.origin;
    auto at = std::ranges::find(out, origin, [](const auto& entry) -> const Origin& { return entry.first; });
    if (at == out.end()) {
      out.emplace_back(origin, std::vector<const Span*>());
      at = std::prev(out.end());
    }
    at->second.push_back(&span);
  }
  return out;
}

void append_resource(std::string& out, const Origin& origin, const std::vector<const Span*>& spans) {
  out.append("{\"resource\":{\"attributes\":[");
  append_attribute(out, "service.name", "troupe-" + origin.role);
  if (!origin.instance.empty()) {
    out.append(",");
    append_attribute(out, "service.instance.id", origin.instance);
  }
  out.append("]},\"scopeSpans\":[{\"scope\":{\"name\":\"troupe\"},\"spans\":[");
  for (const Span* span : spans) {
    if (span != spans.front()) out += ',';
    append_otlp(out, *span);
  }
  out.append("]}]}");
}

/// Rows of a viewer in which spans overlap only where they nest.
class Rows {
 public:
  /// The first row from `depth` on that is free again.
  [[nodiscard]] std::size_t take(std::size_t depth, const Span& span) {
    std::size_t row = depth;
    while (row < ends_.size() && ends_[row] > span.start_ns) ++row;
    if (row >= ends_.size()) ends_.resize(row + 1, 0);
    ends_[row] = span.end_ns;
    return row;
  }

 private:
  std::vector<std::int64_t> ends_;
};

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
  for (const auto& [key, value] : span.texts) {
    out.append(",");
    append_quoted(out, key);
    out.append(":");
    append_quoted(out, value);
  }
  out.append("}}");
}

}  // namespace

std::string to_otlp(const Origin& own, const std::vector<Span>& spans) {
  std::string out = "{\"resourceSpans\":[";
  const auto resources = by_origin(spans, own);
  for (const auto& [origin, members] : resources) {
    if (&origin != &resources.front().first) out += ',';
    append_resource(out, origin, members);
  }
  return out + "]}";
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
    Rows rows;
    for (const Span& span : process.spans)
      append_chrome(out, span, rows.take(depth(span, by_id), span), where);
  }
  return out.append("]}\n");
}

std::vector<ProcessSpans> by_process(const std::vector<Span>& spans, const Origin& own) {
  std::vector<ProcessSpans> out;
  for (const auto& [origin, members] : by_origin(spans, own)) {
    ProcessSpans process;
    process.process = origin.instance.empty() ? origin.role : origin.role + " " + origin.instance;
    for (const Span* span : members) process.spans.push_back(*span);
    out.push_back(std::move(process));
  }
  return out;
}

}  // namespace troupe::trace
