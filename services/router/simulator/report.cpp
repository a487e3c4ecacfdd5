#include "services/router/simulator/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "common/terminal/table.hpp"

namespace troupe::router {
namespace {

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string xml_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

}  // namespace

SimulationSummary summarize(const Trace& trace, const SimulationOptions& options,
                            const SimulationResult& result, const Objectives& objectives) {
  SimulationSummary s;
  s.trace = trace.name;
  s.policy = options.policy;
  s.load = options.load;
  s.requests = result.requests.size();
  s.prediction_error = result.prediction_error;
  s.preemptions = result.preemptions;
  s.disaggregated = result.disaggregated;
  s.fetches = result.fetches;
  s.fetched_tokens = result.fetched_tokens;
  s.snapshots = result.snapshots;
  s.steps = result.steps;
  if (result.elapsed > Duration::zero())
    s.busy = std::chrono::duration<double>(result.stepping).count() /
             std::chrono::duration<double>(result.elapsed).count() /
             static_cast<double>(options.workers.size());
  double prompt = 0, cached = 0, last = 0;
  std::vector<double> between;
  for (const RequestOutcome& request : result.requests) {
    last = std::max(last, seconds(request.arrived));
    s.replays += request.replays;
    s.refused += request.refused;
    if (!request.finished) continue;
    ++s.finished;
    prompt += request.prompt_tokens;
    cached += request.cached_tokens;
    s.first_tokens.push_back(seconds(request.first_token));
    between.push_back(seconds(request.between_tokens));
    s.good +=
        request.first_token <= objectives.first_token && request.between_tokens <= objectives.between_tokens;
  }
  std::ranges::sort(s.first_tokens);
  std::ranges::sort(between);
  s.hit_ratio = prompt > 0 ? cached / prompt : 0;
  s.first_p50 = percentile(s.first_tokens, 0.5);
  s.first_p90 = percentile(s.first_tokens, 0.9);
  s.first_p99 = percentile(s.first_tokens, 0.99);
  s.between_p50 = percentile(between, 0.5);
  s.between_p99 = percentile(between, 0.99);
  s.goodput = static_cast<double>(s.good) / std::max(last, 1e-9);
  return s;
}

std::string time_text(double value) {
  return value >= 100 ? format("%.0f s", value)
         : value >= 1 ? format("%.2f s", value)
                      : format("%.0f ms", value * 1000);
}

std::string table_text(const std::vector<SimulationSummary>& all) {
  Table table({"TRACE", "LOAD", "POLICY", "HITS", "TTFT p50", "p90", "p99", "ITL p50", "p99", "GOOD",
               "GOODPUT", "REFUSED", "REPLAYS", "FETCHES", "PREDICTION"});
  for (const SimulationSummary& s : all) {
    const double share =
        s.requests == 0 ? 0 : 100.0 * static_cast<double>(s.good) / static_cast<double>(s.requests);
    table.add({s.trace, format("%.2f", s.load), s.policy, format("%.1f %%", 100 * s.hit_ratio),
               time_text(s.first_p50), time_text(s.first_p90), time_text(s.first_p99),
               time_text(s.between_p50), time_text(s.between_p99), format("%.1f %%", share),
               format("%.2f/s", s.goodput), std::to_string(s.refused), std::to_string(s.replays),
               std::to_string(s.fetches),
               s.prediction_error > 0 ? format("+-%.0f %%", 100 * s.prediction_error) : "-"});
  }
  return table.text();
}

std::string bars_text(const std::vector<SimulationSummary>& all) {
  constexpr double kWidth = 50;
  double most = 0;
  std::size_t name = 0;
  for (const SimulationSummary& s : all) {
    most = std::max(most, s.goodput);
    name = std::max(name, s.policy.size());
  }
  std::string out = "goodput\n";
  for (const SimulationSummary& s : all) {
    const auto bar = static_cast<std::size_t>(most > 0 ? std::round(kWidth * s.goodput / most) : 0);
    out += format("  %.2f ", s.load) + s.policy + std::string(name - s.policy.size(), ' ') + " |" +
           std::string(bar, '#') + format(" %.2f/s\n", s.goodput);
  }
  return out;
}

std::string summaries_json(const std::vector<SimulationSummary>& all) {
  auto out = nlohmann::ordered_json::array();
  for (const SimulationSummary& s : all)
    out.push_back({{"trace", s.trace},
                   {"load", s.load},
                   {"policy", s.policy},
                   {"requests", s.requests},
                   {"finished", s.finished},
                   {"refused", s.refused},
                   {"good", s.good},
                   {"replays", s.replays},
                   {"hit_ratio", s.hit_ratio},
                   {"first_token_p50_s", s.first_p50},
                   {"first_token_p90_s", s.first_p90},
                   {"first_token_p99_s", s.first_p99},
                   {"between_tokens_p50_s", s.between_p50},
                   {"between_tokens_p99_s", s.between_p99},
                   {"goodput_per_s", s.goodput},
                   {"prediction_error", s.prediction_error},
                   {"preemptions", s.preemptions},
                   {"disaggregated", s.disaggregated},
                   {"fetches", s.fetches},
                   {"fetched_tokens", s.fetched_tokens},
                   {"snapshots", s.snapshots},
                   {"steps", s.steps},
                   {"busy", s.busy}});
  return out.dump(2) + "\n";
}

std::string outcomes_jsonl(const SimulationSummary& of, const SimulationResult& result) {
  std::string out;
  for (const RequestOutcome& request : result.requests) {
    nlohmann::ordered_json line{{"trace", of.trace},
                                {"load", of.load},
                                {"policy", of.policy},
                                {"arrived_s", seconds(request.arrived)},
                                {"prompt_tokens", request.prompt_tokens},
                                {"cached_tokens", request.cached_tokens},
                                {"output_tokens", request.output_tokens},
                                {"replays", request.replays},
                                {"finished", request.finished},
                                {"refused", request.refused}};
    if (request.worker) line["worker"] = *request.worker;
    if (request.finished) {
      line["first_token_s"] = seconds(request.first_token);
      line["between_tokens_s"] = seconds(request.between_tokens);
    }
    out += line.dump() + "\n";
  }
  return out;
}

std::string first_tokens_svg(const std::string& title, const std::vector<SimulationSummary>& all) {
  constexpr double kLeft = 70, kTop = 50, kWidth = 560, kHeight = 320, kLow = 0.01;
  constexpr std::array<const char*, 8> kColours{"#1f5fa8", "#d1611b", "#2e7d4f", "#7a4a9e",
                                                "#b03a48", "#5a5a5a", "#8a7a1f", "#1f8a8a"};
  double high = 1;
  for (const SimulationSummary& s : all)
    if (!s.first_tokens.empty()) high = std::max(high, s.first_tokens.back());
  const auto x = [&](double value) {
    return kLeft +
           kWidth * std::clamp(std::log(std::max(value, kLow) / kLow) / std::log(high / kLow), 0.0, 1.0);
  };
  const auto y = [&](double share) { return kTop + kHeight * (1 - share); };
  std::string out =
      format(
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"430\" font-family=\"sans-serif\" "
          "font-size=\"12\"><rect width=\"900\" height=\"430\" fill=\"white\"/><text x=\"%.0f\" y=\"28\" "
          "font-size=\"16\">",
          kLeft) +
      xml_text(title) + "</text>\n";
  for (double tick = kLow; tick <= high * 1.0001; tick *= 10)
    out += format(
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" "
        "text-anchor=\"middle\">%g s</text>\n",
        x(tick), kTop, x(tick), kTop + kHeight, x(tick), kTop + kHeight + 18, tick);
  for (int share = 0; share <= 100; share += 25)
    out += format(
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.1f\" "
        "text-anchor=\"end\">%d %%</text>\n",
        kLeft, y(share / 100.0), kLeft + kWidth, y(share / 100.0), kLeft - 6, y(share / 100.0) + 4, share);
  out += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">time to first token</text>\n",
                kLeft + kWidth / 2, kTop + kHeight + 40);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& times = all[i].first_tokens;
    const char* colour = kColours[i % kColours.size()];
    out += format("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
    constexpr std::size_t kPoints = 200;
    for (std::size_t p = 1; p <= kPoints && !times.empty(); ++p) {
      const double share = static_cast<double>(p) / kPoints;
      const double of_all = share * static_cast<double>(times.size()) /
                            static_cast<double>(std::max<std::size_t>(1, all[i].requests));
      out += format("%.1f,%.1f ", x(percentile(times, share)), y(of_all));
    }
    out += format("\"/>\n<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">", kLeft + kWidth + 14,
                  kTop + 14 + 18.0 * static_cast<double>(i), colour) +
           xml_text(all[i].policy) + format(" %.2f", all[i].load) + "</text>\n";
  }
  return out + "</svg>\n";
}

}  // namespace troupe::router
