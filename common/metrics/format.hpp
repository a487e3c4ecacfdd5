#pragma once
// The two text formats of /metrics, and which one a scraper is given.
#include <cstdint>
#include <string_view>

namespace troupe::metrics {

/// OpenMetrics can carry exemplars (which trace an observation belongs to), the older text format cannot.
enum class Format : std::uint8_t { text, openmetrics };

/// What an HTTP Accept header asks for: OpenMetrics 1.0 where it is named with a weight not below that of
/// plain text, else text.
/// "" and what cannot be read are text.
[[nodiscard]] Format negotiate(std::string_view accept);

[[nodiscard]] std::string_view content_type(Format format);

}  // namespace troupe::metrics
