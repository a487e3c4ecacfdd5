#include "services/gateway/resume_target.hpp"

#include <charconv>
#include <limits>

namespace troupe::gateway {
namespace {

constexpr std::string_view kPrefix = "/v1/requests/", kSuffix = "/events";

bool read_number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

ResumeTarget resume_target(const Request& request) {
  ResumeTarget out;
  std::string_view id = request.path;
  if (!id.starts_with(kPrefix) || !id.ends_with(kSuffix) || id.size() < kPrefix.size() + kSuffix.size())
    return out;
  out.matches = true;
  id.remove_prefix(kPrefix.size());
  id.remove_suffix(kSuffix.size());
  for (const std::string_view prefix : {"chatcmpl-", "cmpl-", "resp_"})
    if (id.starts_with(prefix)) id.remove_prefix(prefix.size());
  if (const auto parsed = id_from_hex<RequestId>(id)) {
    out.id = *parsed;
  } else {
    out.error = "a request's id is 32 hex digits";
  }
  if (const auto from = query_parameter(request.query, "from")) {
    if (!read_number(*from, out.from)) out.error = "from: expected the number of an event";
  } else if (const auto last = request.header("Last-Event-ID"); !last.empty()) {
    if (!read_number(last, out.from) || out.from == std::numeric_limits<std::uint64_t>::max())
      out.error = "Last-Event-ID: expected the number of an event";
    else
      ++out.from;
  }
  return out;
}

}  // namespace troupe::gateway
