#include "services/gateway/resume_target.hpp"

#include <charconv>
#include <limits>
#include <optional>

namespace troupe::gateway {
namespace {

constexpr std::string_view kPrefix = "/v1/requests/", kSuffix = "/events";

/// The value of a query's parameter; nothing when it is not there.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view part = query.substr(0, end);
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
      return part.substr(name.size() + 1);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return std::nullopt;
}

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
  for (const std::string_view prefix : {"chatcmpl-", "cmpl-"})
    if (id.starts_with(prefix)) id.remove_prefix(prefix.size());
  if (const auto parsed = id_from_hex<RequestId>(id)) {
    out.id = *parsed;
  } else {
    out.error = "a request's id is 32 hex digits";
  }
  if (const auto from = parameter(request.query, "from")) {
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
