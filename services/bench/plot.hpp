#pragma once
// The distributions of a run as one SVG: for each kind of latency a panel with the share of requests (or
// gaps) that took at most so long, over a logarithmic axis, and p50, p90 and p99 of every endpoint.
#include <string>
#include <vector>

#include "services/bench/summary.hpp"

namespace troupe::load {

struct PlotSeries {
  std::string name;
  const Summary* summary = nullptr;
};

struct PlotText {
  std::string title, subtitle;
};

/// At most four series are told apart; more are left out. Needs no fonts or scripts of its own.
[[nodiscard]] std::string distributions_svg(const PlotText& text, const std::vector<PlotSeries>& series);

/// Round numbers 1, 2, 5 times powers of ten that lie within low..high, of powers alone over more than three
/// decades, and every second left out while there are over six.
[[nodiscard]] std::vector<double> log_ticks(double low, double high);
/// &, <, >, " and ' as entities; control characters dropped.
[[nodiscard]] std::string xml_text(std::string_view text);

}  // namespace troupe::load
