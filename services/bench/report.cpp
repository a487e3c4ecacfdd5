#include "services/bench/report.hpp"

#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "common/terminal/table.hpp"

namespace troupe::load {
namespace {

using nlohmann::ordered_json;

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string number(double value) {
  return format(value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
}

std::vector<std::string> row(std::string name, const Sample& sample) {
  if (sample.empty()) return {std::move(name), "-", "-", "-", "-", "-"};
  return {std::move(name),        number(sample.p(0.5)), number(sample.p(0.9)),
          number(sample.p(0.99)), number(sample.mean()), number(sample.largest())};
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

unsigned long long wide(std::uint64_t value) {
  return value;
}

ordered_json sample_json(const Sample& sample) {
  return {{"count", sample.sorted.size()}, {"p50", sample.p(0.5)},  {"p90", sample.p(0.9)},
          {"p99", sample.p(0.99)},         {"mean", sample.mean()}, {"max", sample.largest()}};
}

}  // namespace

std::string summary_text(const Summary& s, const Objective& objective) {
  Table table({"ms", "p50", "p90", "p99", "mean", "max"});
  table.add(row("time to first token", s.first_token));
  table.add(row("between tokens", s.gap));
  table.add(row("end to end", s.whole));
  std::string text = table.text() + "\n";
  text += format("requests   %llu of %llu answered in %.2f s, %.2f a second\n", wide(s.good),
                 wide(s.requests), s.seconds, s.per_second(s.good));
  text += format("tokens     %.1f/s out, %.1f/s in (%llu out, %llu in)\n", s.per_second(s.output_tokens),
                 s.per_second(s.prompt_tokens), wide(s.output_tokens), wide(s.prompt_tokens));
  text += format("cached     %llu of the tokens in, %.1f %%\n", wide(s.cached_tokens),
                 percent(s.cached_tokens, s.prompt_tokens));
  if (objective.any())
    text += format("goodput    %.2f a second, %.1f %% of the requests within the objective\n",
                   s.per_second(s.met), percent(s.met, s.requests));
  if (s.without_usage != 0)
    text += format("           %llu answers without the server's count: their events are counted\n",
                   wide(s.without_usage));
  for (const auto& [kind, count] : s.errors)
    text += format("error      %s: %llu\n", kind.c_str(), wide(count));
  return text;
}

std::string histogram_text(std::string_view title, const Sample& sample, std::size_t bins) {
  constexpr std::size_t kWidth = 40;
  const Histogram histogram = log_histogram(sample.sorted, bins);
  if (histogram.counts.empty()) return {};
  std::uint64_t most = 1;
  for (const std::uint64_t count : histogram.counts) most = std::max(most, count);
  std::string text = std::string(title) + "\n";
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    const auto length = static_cast<std::size_t>(kWidth * histogram.counts[i] / most);
    text +=
        format("%9s .. %9s ms |", number(histogram.edges[i]).c_str(), number(histogram.edges[i + 1]).c_str());
    text.append(length, '#').append(kWidth - length, ' ');
    text += format("%6llu\n", wide(histogram.counts[i]));
  }
  return text;
}

std::string summary_json(const Summary& s, const Objective& objective) {
  ordered_json out{{"requests", s.requests},
                   {"answered", s.good},
                   {"seconds", s.seconds},
                   {"time_to_first_token_ms", sample_json(s.first_token)},
                   {"between_tokens_ms", sample_json(s.gap)},
                   {"end_to_end_ms", sample_json(s.whole)},
                   {"output_tokens", s.output_tokens},
                   {"prompt_tokens", s.prompt_tokens},
                   {"cached_tokens", s.cached_tokens},
                   {"output_tokens_per_second", s.per_second(s.output_tokens)},
                   {"prompt_tokens_per_second", s.per_second(s.prompt_tokens)},
                   {"answers_without_usage", s.without_usage},
                   {"errors", s.errors}};
  if (objective.any()) {
    ordered_json slo{{"met", s.met}, {"goodput_per_second", s.per_second(s.met)}};
    if (objective.first_token_ms) slo["time_to_first_token_ms"] = *objective.first_token_ms;
    if (objective.gap_ms) slo["between_tokens_ms"] = *objective.gap_ms;
    out["objective"] = std::move(slo);
  }
  return out.dump();
}

std::string records_json(const std::vector<Record>& records) {
  ordered_json out = ordered_json::array();
  for (const Record& r : records) {
    ordered_json each{{"index", r.index}, {"due_ns", r.due.count()}, {"ended_ns", r.ended.count()}};
    if (const auto first = r.first_token()) each["first_token_ns"] = first->count();
    each["prompt_tokens"] = r.prompt_tokens;
    each["cached_tokens"] = r.cached_tokens;
    each["output_tokens"] = r.output_tokens;
    if (!r.good()) each["error"] = r.error;
    out.push_back(std::move(each));
  }
  return out.dump();
}

}  // namespace troupe::load
