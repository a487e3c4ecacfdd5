#include "services/router/simulator/capacity.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "common/terminal/table.hpp"

namespace troupe::router {
namespace {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

/// Remembers what was tried; the first error ends the search.
class Search {
 public:
  Search(std::size_t most, const Attempt& attempt) : most_(most), attempt_(attempt) {}

  Expected<CapacityAnswer> run() {
    const auto found = settle();
    if (error_) return tl::unexpected<Error>(*error_);
    CapacityAnswer answer;
    answer.workers = found;
    for (auto& [workers, tried] : tried_) answer.tries.push_back(std::move(tried));
    return answer;
  }

 private:
  /// false after an error, which ends every loop below.
  bool meets(std::size_t workers) {
    if (error_) return false;
    if (const auto known = tried_.find(workers); known != tried_.end()) return known->second.meets;
    auto tried = attempt_(workers);
    if (!tried) {
      error_ = tried.error();
      return false;
    }
    return tried_.emplace(workers, std::move(*tried)).first->second.meets;
  }

  std::optional<std::size_t> settle() {
    std::size_t low = 0, high = 1;  // low does not
    while (!meets(high)) {
      if (error_ || high >= most_) return std::nullopt;
      low = high;
      high = std::min(2 * high, most_);
    }
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (meets(middle) ? high : low) = middle;
    }
    while (high < most_ && !meets(high + 1)) {
      for (high += 2; high <= most_ && !meets(high); ++high)
        if (error_) return std::nullopt;
      if (high > most_) return std::nullopt;
    }
    return high;
  }

  const std::size_t most_;
  const Attempt& attempt_;
  std::map<std::size_t, CapacityTry> tried_;
  std::optional<Error> error_;
};

}  // namespace

Expected<CapacityAnswer> least_workers(std::size_t most, const Attempt& attempt) {
  return Search(std::max<std::size_t>(1, most), attempt).run();
}

Expected<CapacityTry> try_workers(const Trace& trace, SimulationOptions options, const CapacityGoal& goal,
                                  std::size_t workers) {
  if (options.workers.empty()) return fail(Errc::config_invalid, "a plan needs to know a worker");
  options.workers.assign(workers, WorkerSpec(options.workers.front()));
  const auto result = simulate(trace, options);
  if (!result) return tl::unexpected<Error>(result.error());
  if (result->interrupted) return fail(Errc::cancelled, "interrupted");
  CapacityTry tried;
  tried.workers = workers;
  tried.summary = summarize(trace, options, *result, goal.objectives);
  tried.peak_pages = result->peak_pages;
  const std::size_t all = std::max<std::size_t>(1, tried.summary.requests);
  tried.good_share = static_cast<double>(tried.summary.good) / static_cast<double>(all);
  tried.meets = tried.good_share >= goal.share;
  return tried;
}

std::string capacity_table(const CapacityAnswer& answer) {
  Table table({"WORKERS", "TTFT p50", "p99", "ITL p50", "p99", "HITS", "GOOD", "GOODPUT", "KV PAGES", ""});
  for (const CapacityTry& tried : answer.tries) {
    const SimulationSummary& s = tried.summary;
    table.add({std::to_string(tried.workers), time_text(s.first_p50), time_text(s.first_p99),
               time_text(s.between_p50), time_text(s.between_p99), format("%.1f %%", 100 * s.hit_ratio),
               format("%.2f %%", 100 * tried.good_share), format("%.2f/s", s.goodput),
               std::to_string(tried.peak_pages), tried.meets ? "enough" : "too few"});
  }
  return table.text();
}

std::string capacity_json(const CapacityAnswer& answer, std::uint64_t page_bytes) {
  auto tries = nlohmann::ordered_json::array();
  for (const CapacityTry& tried : answer.tries) {
    const SimulationSummary& s = tried.summary;
    nlohmann::ordered_json row{{"workers", tried.workers},
                               {"requests", s.requests},
                               {"finished", s.finished},
                               {"good_share", tried.good_share},
                               {"enough", tried.meets},
                               {"hit_ratio", s.hit_ratio},
                               {"first_token_p50_s", s.first_p50},
                               {"first_token_p99_s", s.first_p99},
                               {"between_tokens_p50_s", s.between_p50},
                               {"between_tokens_p99_s", s.between_p99},
                               {"goodput_per_s", s.goodput},
                               {"kv_pages_in_use", tried.peak_pages}};
    if (page_bytes != 0) row["kv_bytes_in_use"] = page_bytes * tried.peak_pages;
    tries.push_back(std::move(row));
  }
  nlohmann::ordered_json out;
  out["workers"] = answer.workers ? nlohmann::ordered_json(*answer.workers) : nlohmann::ordered_json(nullptr);
  out["tries"] = std::move(tries);
  return out.dump(2) + "\n";
}

}  // namespace troupe::router
