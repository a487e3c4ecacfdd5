#include "common/metrics/format.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::metrics {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// What stands before `mark`, which is taken off `rest` with it.
std::string_view take_until(std::string_view& rest, char mark) {
  const auto end = std::min(rest.find(mark), rest.size());
  const std::string_view part = trimmed(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

struct MediaRange {
  std::string_view type;
  std::string_view version;
  double weight = 1;
};

MediaRange read_range(std::string_view text) {
  MediaRange range;
  range.type = take_until(text, ';');
  while (!text.empty()) {
    std::string_view value = take_until(text, ';');
    const std::string_view key = take_until(value, '=');
    if (key == "version") range.version = value;
    if (key == "q" &&
        std::from_chars(value.data(), value.data() + value.size(), range.weight).ec != std::errc{})
      range.weight = 0;
  }
  return range;
}

}  // namespace

Format negotiate(std::string_view accept) {
  double open = 0, plain = 0;
  while (!accept.empty()) {
    const MediaRange range = read_range(take_until(accept, ','));
    const bool known = range.version.empty() || range.version == "1.0.0";
    if (range.type == "application/openmetrics-text" && known) open = std::max(open, range.weight);
    if (range.type == "text/plain" || range.type == "text/*" || range.type == "*/*")
      plain = std::max(plain, range.weight);
  }
  return open > 0 && open >= plain ? Format::openmetrics : Format::text;
}

std::string_view content_type(Format format) {
  return format == Format::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                       : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace troupe::metrics
