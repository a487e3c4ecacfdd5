#include "services/cli/doctor/finding.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/terminal/printable.hpp"
#include "services/cli/doctor/words.hpp"

namespace troupe::cli::doctor {
namespace {

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

/// On one line, whatever a file or an address brought along.
std::string one_line(std::string_view text) {
  std::string out = printable(text);
  std::ranges::replace(out, '\n', ' ');
  return out;
}

}  // namespace

std::string_view name(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warning:
      return "warning";
    case Level::problem:
      break;
  }
  return "problem";
}

std::size_t count(const Findings& findings, Level level) {
  return static_cast<std::size_t>(
      std::ranges::count_if(findings, [&](const Finding& each) { return each.level == level; }));
}

std::string findings_text(const Findings& findings) {
  std::size_t widest = 0;
  for (const Finding& each : findings) widest = std::max(widest, each.check.size());
  constexpr std::size_t kLevel = 9;
  std::string out;
  for (const Finding& each : findings) {
    out += padded(name(each.level), kLevel) + padded(each.check, widest + 2) + one_line(each.what) + "\n";
    if (!each.advice.empty())
      out += std::string(kLevel + widest + 2, ' ') + "-> " + one_line(each.advice) + "\n";
  }
  return out + counted(count(findings, Level::problem), "problem") + ", " +
         counted(count(findings, Level::warning), "warning") + "\n";
}

std::string findings_json(const Findings& findings) {
  auto rows = nlohmann::ordered_json::array();
  for (const Finding& each : findings)
    rows.push_back(
        {{"check", each.check}, {"level", name(each.level)}, {"what", each.what}, {"advice", each.advice}});
  const nlohmann::ordered_json all{{"problems", count(findings, Level::problem)},
                                   {"warnings", count(findings, Level::warning)},
                                   {"findings", rows}};
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace troupe::cli::doctor
