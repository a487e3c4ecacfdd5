#include "services/router/placement_log.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace troupe::router {
namespace {

using nlohmann::ordered_json;

// Who knows a whole id may ask for its stream; these are enough to find it in a log.
constexpr std::size_t kShownDigits = 8;

double rounded(double value) {
  return std::round(value * 10) / 10;
}

ordered_json to_json(const Explanation::Holder& holder) {
  const Source& s = holder.seen;
  return {{"worker", holder.name},
          {"held_tokens", s.held_tokens},
          {"sending", s.sending},
          {"step_us", rounded(s.step_us)},
          {"costs_us", {{"base", rounded(s.costs.any.base)}, {"token", s.costs.any.byte * s.token_bytes}}}};
}

ordered_json to_json(const Explanation::Worker& worker, const std::vector<Explanation::Holder>& sources) {
  const Candidate& c = worker.seen;
  ordered_json out = {{"worker", worker.name},
                      {"cached_tokens", c.cached_tokens},
                      {"cache_is_predicted", c.predicted},
                      {"load", c.load},
                      {"capacity", c.capacity},
                      {"queued_tokens", rounded(c.queued_tokens)},
                      {"drain_us", rounded(c.drain_us)},
                      {"decode_rows", c.decode_rows},
                      {"pages_available", c.pages_available},
                      {"costs_us",
                       {{"base", rounded(c.costs.base)},
                        {"queued_token", c.costs.queued},
                        {"token", c.costs.token},
                        {"decode_row", rounded(c.costs.row)}}}};
  if (!worker.terms.able) return out;
  const Terms& t = worker.terms;
  out["terms_us"] = {{"queue", rounded(t.queue)},       {"prefill", rounded(t.prefill)},
                     {"transfer", rounded(t.transfer)}, {"decode", rounded(t.decode)},
                     {"others", rounded(t.others)},     {"score", rounded(t.score)}};
  if (t.source && *t.source < sources.size()) {
    out["terms_us"]["fetch"] = rounded(t.fetch);
    out["fetch_from"] = sources[*t.source].name;
  }
  out["first_token_us"] = rounded(t.first_token());
  return out;
}

/// The best score first; those that could not take it last.
ordered_json best_of(std::vector<Explanation::Worker> workers, const std::vector<Explanation::Holder>& sources,
                     std::size_t most) {
  std::stable_sort(workers.begin(), workers.end(), [](const auto& a, const auto& b) {
    if (a.terms.able != b.terms.able) return a.terms.able;
    return a.terms.able && a.terms.score < b.terms.score;
  });
  ordered_json out = ordered_json::array();
  for (std::size_t i = 0; i < std::min(most, workers.size()); ++i)
    out.push_back(to_json(workers[i], sources));
  return out;
}

std::string dumped(const ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ordered_json heading(const LoggedPlacement& placement) {
  const Explanation& e = *placement.what;
  ordered_json out = {{"request", to_hex(e.request).substr(0, kShownDigits)},
                      {"epoch", e.epoch.value},
                      {"model", e.model},
                      {"policy", e.policy},
                      {"prompt_tokens", e.prompt_tokens}};
  if (!e.refused.empty()) {
    out["refused"] = e.refused;
    out["retry_after_ms"] = e.retry_after_ms;
  } else {
    out["reason"] = e.reason;
    out["decode"] = e.decode;
    out["prefill"] = e.prefill.empty() ? ordered_json() : ordered_json(e.prefill);
    out["fetch"] = e.fetch.empty() ? ordered_json() : ordered_json(e.fetch);
    out["took_us"] = placement.took_us ? ordered_json(rounded(*placement.took_us)) : ordered_json();
  }
  return out;
}

ordered_json to_json(const LoggedPlacement& placement) {
  const Explanation& e = *placement.what;
  ordered_json out = heading(placement);
  out["decode_candidates"] = ordered_json::array();
  for (const auto& worker : e.decode_workers) out["decode_candidates"].push_back(to_json(worker, e.sources));
  out["prefill_candidates"] = ordered_json::array();
  for (const auto& worker : e.prefill_workers) out["prefill_candidates"].push_back(to_json(worker, {}));
  out["sources"] = ordered_json::array();
  for (const auto& holder : e.sources) out["sources"].push_back(to_json(holder));
  return out;
}

}  // namespace

void PlacementLog::add(Explanation explanation) {
  if (keep_ == 0) return;
  if (placements_.size() >= keep_) placements_.pop_front();
  placements_.push_back(
      {std::make_shared<const Explanation>(std::move(explanation)), std::nullopt, ++changes_});
}

void PlacementLog::started(const RequestId& request, Epoch epoch, double took_us) {
  for (LoggedPlacement& placement : placements_)
    if (placement.what->request == request && placement.what->epoch == epoch) {
      placement.took_us = took_us;
      placement.changed = ++changes_;
    }
}

std::vector<const LoggedPlacement*> PlacementLog::changed_since(std::uint64_t change) const {
  std::vector<const LoggedPlacement*> out;
  for (const LoggedPlacement& placement : placements_)
    if (placement.changed > change) out.push_back(&placement);
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->changed < b->changed; });
  return out;
}

std::vector<Explanation::Worker> workers_of(std::span<const Candidate> candidates,
                                            std::span<const Terms> terms) {
  std::vector<Explanation::Worker> workers;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    workers.push_back(
        {std::string(candidates[i].name), candidates[i], i < terms.size() ? terms[i] : Terms{}});
    workers.back().seen.name = {};
  }
  return workers;
}

std::string to_json(const std::deque<LoggedPlacement>& placements) {
  ordered_json out = {{"placements", ordered_json::array()}};
  for (auto at = placements.rbegin(); at != placements.rend(); ++at)
    out["placements"].push_back(to_json(*at));
  return dumped(out);
}

std::string to_json(const LoggedPlacement& placement, std::size_t candidates) {
  const Explanation& e = *placement.what;
  ordered_json out = heading(placement);
  out["decode_candidates"] = best_of(e.decode_workers, e.sources, candidates);
  out["prefill_candidates"] = best_of(e.prefill_workers, {}, candidates);
  out["candidates"] = e.decode_workers.size() + e.prefill_workers.size();
  return dumped(out);
}

}  // namespace troupe::router
