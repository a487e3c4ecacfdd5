#include "services/bench/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace troupe::load {
namespace {

constexpr double kPanelWidth = 300, kPanelHeight = 240, kGap = 60, kLeft = 64, kTop = 122;
constexpr std::size_t kPoints = 240;  // of a curve: more than the panel has pixels for is of no use
constexpr std::array<const char*, 4> kColours{"#1f5fa8", "#d1611b", "#2e7d4f", "#7a4a9e"};
constexpr std::array<const char*, 4> kDashes{"none", "7 3", "2 3",
                                             "9 3 2 3"};  // for eyes and printers without colour

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string label(double x, double y, const char* anchor, const char* kind, const std::string& text) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, kind) +
         xml_text(text) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* kind) {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2,
                kind);
}

std::string tick_text(double value) {
  if (value >= 1000) return format("%g s", value / 1000);
  return format("%g ms", value);
}

std::string figure_text(double ms) {
  if (ms >= 1000) return format("%.2f s", ms / 1000);
  return format(ms >= 100 ? "%.0f ms" : ms >= 10 ? "%.1f ms" : "%.2f ms", ms);
}

struct Panel {
  const char* title;
  const char* of;  ///< what is counted
  Sample Summary::*sample;
};

constexpr std::array<Panel, 3> kPanels{{{"Time to first token", "requests", &Summary::first_token},
                                        {"Between tokens", "gaps", &Summary::gap},
                                        {"End to end", "requests", &Summary::whole}}};

/// Maps a panel's values to the page.
struct Axes {
  double x0, low, high;
  [[nodiscard]] double x(double value) const {
    const double span = std::log(high / low);
    return x0 + kPanelWidth * std::clamp(std::log(std::max(value, low) / low) / span, 0.0, 1.0);
  }
  [[nodiscard]] static double y(double share) { return kTop + kPanelHeight * (1 - share); }
};

Axes axes_for(double x0, const Panel& panel, const std::vector<PlotSeries>& series) {
  double low = INFINITY, high = 0;
  for (const PlotSeries& each : series) {
    const auto& values = (each.summary->*panel.sample).sorted;
    // The smallest thousandth (events read together) would stretch the axis for nothing.
    if (values.empty()) continue;
    low = std::min(low, std::max(percentile(values, 0.005), 0.01));
    high = std::max(high, values.back());
  }
  if (!(low < INFINITY)) return {x0, 1, 10};
  high = std::max(high, low * 1.5);
  return {x0, low / 1.08, high * 1.08};
}

std::string frame(const Axes& axes, const Panel& panel) {
  const double right = axes.x0 + kPanelWidth, bottom = Axes::y(0);
  std::string out = label(axes.x0, kTop - 14, "start", "panel", panel.title);
  for (const double share : {0.0, 0.25, 0.5, 0.75, 0.9, 0.99}) {
    out += line(axes.x0, Axes::y(share), right, Axes::y(share), share == 0 ? "axis" : "grid");
    out += label(axes.x0 - 8, Axes::y(share) + 4, "end", "tick", format("%.0f %%", share * 100));
  }
  for (const double tick : log_ticks(axes.low, axes.high)) {
    out += line(axes.x(tick), Axes::y(1), axes.x(tick), bottom + 5, "grid");
    out += label(axes.x(tick), bottom + 20, "middle", "tick", tick_text(tick));
  }
  out += line(axes.x0, Axes::y(1), axes.x0, bottom, "axis");
  return out + label(axes.x0 + kPanelWidth / 2, bottom + 40, "middle", "name",
                     format("at most this long (log scale), share of %s", panel.of));
}

std::string curve(const Axes& axes, const std::vector<double>& sorted, std::size_t which) {
  std::string points = format("M%.1f %.1f", axes.x(sorted.front()), Axes::y(0));
  const std::size_t count = std::min(kPoints, sorted.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (i + 1) * sorted.size() / count - 1;  // the last is the largest
    const double share = static_cast<double>(at + 1) / static_cast<double>(sorted.size());
    points += format("H%.1fV%.1f", axes.x(sorted[at]), Axes::y(share));
  }
  return "<path d=\"" + points +
         format("\" class=\"curve\" stroke=\"%s\" stroke-dasharray=\"%s\"/>\n", kColours[which],
                kDashes[which]);
}

/// The three figures of each series under a panel.
std::string figures(const Axes& axes, const Panel& panel, const std::vector<PlotSeries>& series) {
  std::string out;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const Sample& sample = series[i].summary->*panel.sample;
    const std::string text = sample.empty()
                                 ? "none"
                                 : "p50 " + figure_text(sample.p(0.5)) + "   p90 " +
                                       figure_text(sample.p(0.9)) + "   p99 " + figure_text(sample.p(0.99));
    const double y = Axes::y(0) + 66 + 18 * static_cast<double>(i);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\" fill=\"%s\"/>\n", axes.x0, y - 9,
                  kColours[i]);
    out += label(axes.x0 + 16, y, "start", "figure", text);
  }
  return out;
}

std::string legend(const std::vector<PlotSeries>& series) {
  std::string out;
  double x = kLeft;
  for (std::size_t i = 0; i < series.size(); ++i) {
    out += format(
        "<line x1=\"%.1f\" y1=\"72\" x2=\"%.1f\" y2=\"72\" class=\"curve\" stroke=\"%s\" "
        "stroke-dasharray=\"%s\"/>\n",
        x, x + 30, kColours[i], kDashes[i]);
    out += label(x + 38, 76, "start", "name", series[i].name);
    x += 62 + 7.2 * static_cast<double>(series[i].name.size());
  }
  return out;
}

constexpr const char* kStyle =
    "<style>text{font-family:Helvetica,Arial,sans-serif;fill:#222}.title{font-size:18px;font-weight:bold}"
    ".sub{font-size:12px;fill:#666}.panel{font-size:14px;font-weight:bold}.name{font-size:12px;fill:#444}"
    ".tick{font-size:11px;fill:#555}.figure{font-size:12px}.grid{stroke:#e3e3e3;stroke-width:1}"
    ".axis{stroke:#555;stroke-width:1}.curve{fill:none;stroke-width:2;stroke-linejoin:round}</style>\n";

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::vector<double> log_ticks(double low, double high) {
  if (!(low > 0) || !(high >= low)) return {};
  std::vector<double> ticks;
  const bool coarse = high / low > 1000;
  const auto first = static_cast<int>(std::floor(std::log10(low))),
             last = static_cast<int>(std::floor(std::log10(high)));
  for (int power = first; power <= last; ++power)
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double tick = digit * std::pow(10.0, power);
      if (tick >= low && tick <= high && (digit == 1 || !coarse)) ticks.push_back(tick);
    }
  while (ticks.size() > 6)
    for (std::size_t i = 1; i < ticks.size(); ++i)
      ticks.erase(ticks.begin() + static_cast<std::ptrdiff_t>(i));
  return ticks;
}

std::string distributions_svg(const PlotText& text, const std::vector<PlotSeries>& all) {
  const std::vector<PlotSeries> series(
      all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kColours.size())));
  const double width = kLeft + 3 * kPanelWidth + 2 * kGap + 24;
  const double height = kTop + kPanelHeight + 84 + 18 * static_cast<double>(series.size());
  std::string out = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
      "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n",
      width, height, width, height);
  out += "<title>" + xml_text(text.title) + "</title>\n" + kStyle;
  out += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  out += label(kLeft, 30, "start", "title", text.title) + label(kLeft, 50, "start", "sub", text.subtitle);
  out += legend(series);
  for (std::size_t p = 0; p < kPanels.size(); ++p) {
    const Axes axes = axes_for(kLeft + static_cast<double>(p) * (kPanelWidth + kGap), kPanels[p], series);
    out += frame(axes, kPanels[p]);
    for (std::size_t i = 0; i < series.size(); ++i)
      if (const Sample& sample = series[i].summary->*kPanels[p].sample; !sample.empty())
        out += curve(axes, sample.sorted, i);
    out += figures(axes, kPanels[p], series);
  }
  return out + "</svg>\n";
}

}  // namespace troupe::load
