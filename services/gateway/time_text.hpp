#pragma once
// Times of the calendar, as JSON answers have them.
#include <chrono>
#include <string>

namespace troupe::gateway {

/// "2026-11-30T10:04:51.123456789Z", without a fraction where that is 0: RFC 3339 in UTC.
[[nodiscard]] std::string rfc3339(std::chrono::system_clock::time_point at);

}  // namespace troupe::gateway
