#include "services/cli/learnt_costs.hpp"

#include <nlohmann/json.hpp>

#include "common/http/client.hpp"
#include "common/terminal/printable.hpp"
#include "services/router/ttft_model.hpp"

namespace troupe::cli {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t kLargestState = 16U << 20;

/// The value at a path of keys; null when there is none.
json at_path(const json& root, std::initializer_list<const char*> keys) {
  const json* here = &root;
  for (const char* key : keys) {
    if (!here->is_object()) return {};
    const auto next = here->find(key);
    if (next == here->end()) return {};
    here = &*next;
  }
  return *here;
}

}  // namespace

Expected<router::StepModel> parse_learnt_costs(std::string_view state_json) {
  const json costs = at_path(json::parse(state_json, nullptr, false), {"router", "arrangement", "costs_us"});
  const json base = at_path(costs, {"step"}), token = at_path(costs, {"prompt_token"}),
             row = at_path(costs, {"decode_row"});
  if (!base.is_number() || !token.is_number() || !row.is_number())
    return fail(Errc::file_malformed, "no router's state: expected costs_us under router.arrangement");
  router::StepModel step{base.get<double>(), token.get<double>(), row.get<double>(), 0, 0};
  const router::TtftCoefficients prior;
  const bool unlearnt = step.base == prior.base && step.prompt_token == prior.token && step.row == prior.row;
  if (unlearnt || step.base + step.prompt_token <= 0)
    return fail(Errc::file_unsupported,
                "the router has learnt no costs yet: it needs workers, and requests to place");
  return step;
}

Expected<router::StepModel> fetch_learnt_costs(const std::string& url) {
  const auto place_of = parse_url(url);
  if (!place_of) return tl::unexpected<Error>(place_of.error());
  HttpRequest request;
  request.path = path_below(*place_of, "/state");
  auto answer = HttpAnswer::open(*place_of, request, -1, {5s, 10s});
  if (!answer) return tl::unexpected<Error>(answer.error());
  const auto body = answer->read_all(kLargestState);
  if (!body) return tl::unexpected<Error>(body.error());
  if (answer->status() != 200)
    return fail(Errc::io_failed,
                url + " answered " + std::to_string(answer->status()) + ": " + printable(*body));
  return parse_learnt_costs(*body);
}

}  // namespace troupe::cli
