#pragma once
// A summary for people (table, bars) and for machines (JSON).
#include <string>
#include <string_view>
#include <vector>

#include "services/bench/summary.hpp"

namespace troupe::load {

/// The figures of one endpoint.
[[nodiscard]] std::string summary_text(const Summary& summary, const Objective& objective);
/// A bar per bin: "   12.5 ..    18.1 ms |########    12".
[[nodiscard]] std::string histogram_text(std::string_view title, const Sample& sample, std::size_t bins);

/// The same as a JSON object; the caller puts it where it belongs.
[[nodiscard]] std::string summary_json(const Summary& summary, const Objective& objective);
/// One object per record.
[[nodiscard]] std::string records_json(const std::vector<Record>& records);

}  // namespace troupe::load
