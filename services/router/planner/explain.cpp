#include "services/router/planner/explain.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

namespace troupe::router {
namespace {

using nlohmann::ordered_json;

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

ordered_json to_json(const Prediction& prediction) {
  return {{"bears_the_load", prediction.bears},
          {"busy", rounded(prediction.busy)},
          {"between_tokens_tail_us", rounded(prediction.between_tokens_tail_us)},
          {"short_first_token_us", rounded(prediction.short_first_us)},
          {"long_first_token_us", rounded(prediction.long_first_us)}};
}

ordered_json to_json(const Comparison& comparison) {
  ordered_json out = {{"split_advantage", rounded(comparison.advantage)},
                      {"hybrid", to_json(comparison.hybrid)}};
  if (comparison.prefill == 0) return out;
  out["split"] = to_json(comparison.split);
  out["split"]["prefill_workers"] = comparison.prefill;
  return out;
}

}  // namespace

std::string to_json(const Planner::View& view) {
  const Traffic& t = view.traffic;
  const ordered_json out = {{"verdict", to_string(view.verdict)},
                            {"workers", view.workers},
                            {"traffic",
                             {{"short_prompts_per_s", rounded(t.short_prompts)},
                              {"long_prompts_per_s", rounded(t.long_prompts)},
                              {"short_tokens", rounded(t.short_tokens)},
                              {"long_tokens", rounded(t.long_tokens)},
                              {"answer_tokens", rounded(t.answer_tokens)}}},
                            {"costs_us",
                             {{"step", rounded(view.costs.base)},
                              {"prompt_token", rounded(view.costs.token)},
                              {"decode_row", rounded(view.costs.row)},
                              {"transferred_token", rounded(view.costs.transfer)}}},
                            {"predicted", view.comparison ? to_json(*view.comparison) : ordered_json()}};
  return out.dump();
}

}  // namespace troupe::router
