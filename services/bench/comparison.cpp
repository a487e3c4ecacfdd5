#include "services/bench/comparison.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "common/terminal/table.hpp"

namespace troupe::load {
namespace {

using nlohmann::ordered_json;

struct Figure {
  const char* name;
  double (*of)(const Summary& summary);
};

constexpr std::array<Figure, 7> kFigures{{
    {"output tokens/s", [](const Summary& s) { return s.per_second(s.output_tokens); }},
    {"requests/s", [](const Summary& s) { return s.per_second(s.good); }},
    {"first token p50 ms", [](const Summary& s) { return s.first_token.p(0.5); }},
    {"first token p99 ms", [](const Summary& s) { return s.first_token.p(0.99); }},
    {"between tokens p50 ms", [](const Summary& s) { return s.gap.p(0.5); }},
    {"between tokens p99 ms", [](const Summary& s) { return s.gap.p(0.99); }},
    {"end to end p50 ms", [](const Summary& s) { return s.whole.p(0.5); }},
}};

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.3f", value);
  return text.data();
}

ComparedFigure compared(const Figure& figure, const std::vector<const Repeat*>& used, std::uint64_t seed) {
  std::vector<Pair> pairs;
  std::vector<double> first, second;
  for (const Repeat* repeat : used) {
    pairs.push_back({figure.of(repeat->first), figure.of(repeat->second)});
    first.push_back(pairs.back().first);
    second.push_back(pairs.back().second);
  }
  return {figure.name, Sample(std::move(first)).p(0.5), Sample(std::move(second)).p(0.5),
          bootstrap_ratio(pairs, seed)};
}

}  // namespace

std::array<int, 2> block_order(std::uint64_t repeat) {
  const bool swapped = repeat % 4 == 1 || repeat % 4 == 2;
  return swapped ? std::array<int, 2>{1, 0} : std::array<int, 2>{0, 1};
}

Comparison compare(const std::vector<Repeat>& repeats, std::uint64_t seed) {
  Comparison out;
  out.repeats = repeats.size();
  std::vector<const Repeat*> clean, all;
  for (const Repeat& repeat : repeats) {
    all.push_back(&repeat);
    if (!repeat.marked()) clean.push_back(&repeat);
  }
  out.marked = all.size() - clean.size();
  out.used_marked = out.marked != 0 && clean.size() < kFewestClean;
  for (const Figure& figure : kFigures)
    out.figures.push_back(compared(figure, out.used_marked ? all : clean, seed));
  return out;
}

std::string comparison_text(const Comparison& comparison, const std::string& first,
                            const std::string& second) {
  Table table({"median", first, second, "ratio", "95 % interval"});
  for (const ComparedFigure& each : comparison.figures) {
    if (each.ratio.pairs == 0) {
      table.add({each.name, number(each.first), number(each.second), "-", "-"});
      continue;
    }
    table.add({each.name, number(each.first), number(each.second), number(each.ratio.value),
               number(each.ratio.low) + " .. " + number(each.ratio.high)});
  }
  std::string text = table.text() + "\n" + std::to_string(comparison.repeats) + " pairs of blocks";
  if (comparison.marked != 0)
    text += ", " + std::to_string(comparison.marked) + " marked: over 2 % of the machine went to others" +
            (comparison.used_marked ? "; too few are left, so ALL ARE USED" : "; they are left out");
  return text + "\n";
}

std::string comparison_json(const Comparison& comparison, const std::vector<Repeat>& repeats) {
  ordered_json out{{"repeats", comparison.repeats},
                   {"marked", comparison.marked},
                   {"used_marked", comparison.used_marked},
                   {"figures", ordered_json::array()},
                   {"pairs", ordered_json::array()}};
  for (const ComparedFigure& each : comparison.figures)
    out["figures"].push_back({{"name", each.name},
                              {"first", each.first},
                              {"second", each.second},
                              {"ratio", each.ratio.value},
                              {"low", each.ratio.low},
                              {"high", each.ratio.high},
                              {"pairs", each.ratio.pairs}});
  for (const Repeat& repeat : repeats) {
    ordered_json row{{"foreign_share", nullptr}, {"marked", repeat.marked()}};
    if (repeat.foreign) row["foreign_share"] = *repeat.foreign;
    for (const Figure& figure : kFigures)
      row[figure.name] = {figure.of(repeat.first), figure.of(repeat.second)};
    out["pairs"].push_back(std::move(row));
  }
  return out.dump();
}

}  // namespace troupe::load
