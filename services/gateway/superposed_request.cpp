#include "services/gateway/superposed_request.hpp"

#include <string>
#include <string_view>

#include "common/sampling/superposed/superposed_search.hpp"
#include "services/gateway/openai_schema.hpp"
#include "services/gateway/search_company.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kName = "troupe.decoding superposed";

bool is_set(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  return value != nullptr && value->get<bool>();
}

Parsed<SuperposedParams> read_settings(const Json& own, std::uint32_t drafts) {
  SuperposedParams out = superposed_defaults(drafts);
  const Json* settings = find_value(own, "superposed");
  if (settings == nullptr) return out;
  if (auto checked = check_fields(*settings, kSuperposed, "troupe.superposed."); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  if (const Json* alpha = find_value(*settings, "alpha")) out.alpha = alpha->get<float>();
  if (const Json* temperature = find_value(*settings, "temperature"))
    out.temperature = temperature->get<float>();
  if (const Json* candidates = find_value(*settings, "candidates"))
    out.candidates = candidates->get<std::uint32_t>();
  return out;
}

Parsed<void> check_company(const Json& object, const Json& own, std::uint32_t choices) {
  const Json* beam = find_value(own, "beam");
  if (beam != nullptr || is_set(object, "use_beam_search"))
    return clash(beam != nullptr ? "troupe.beam" : "use_beam_search", kName, "which is another search");
  const Json* logprobs = find_value(object, "logprobs");
  if (logprobs != nullptr && *logprobs != false)
    return clash("logprobs", kName, "whose rows are blends and speak of no draft's own text");
  const Json* best_of = find_value(object, "best_of");
  if (best_of != nullptr && *best_of != choices) return clash("best_of", kName, "unless it is n");
  return check_search_company(object, kName);
}

}  // namespace

Parsed<SuperposedParams> read_superposed(const Json& object, std::uint32_t choices,
                                         std::optional<std::uint32_t> max_tokens) {
  const Json* own = find_value(object, "troupe");
  if (own == nullptr) return SuperposedParams{};
  const Json* decoding = find_value(*own, "decoding");
  const bool asked = decoding != nullptr && *decoding != "";
  if (asked && *decoding != "superposed")
    return refuse("invalid_value", "troupe.decoding",
                  "troupe.decoding: expected superposed; beams are asked for by troupe.beam");
  const Json* settings = find_value(*own, "superposed");
  if (!asked && settings != nullptr && !settings->empty())
    return refuse("unsupported_parameter", "troupe.superposed",
                  "troupe.superposed: is that of troupe.decoding superposed, which is not asked for");
  if (!asked) return SuperposedParams{};
  auto out = read_settings(*own, choices);
  if (!out) return out;
  if (const auto valid = validate(*out); !valid)
    return refuse("invalid_value", "troupe.superposed", "troupe.superposed: " + valid.error().detail);
  if (max_tokens.value_or(1) > kMostSuperposedTokens)
    return refuse("invalid_value", "max_tokens",
                  "max_tokens: superposed drafts have at most " + std::to_string(kMostSuperposedTokens) +
                      " tokens, found " + std::to_string(*max_tokens));
  if (auto checked = check_company(object, *own, choices); !checked)
    return tl::unexpected<ApiError>(std::move(checked.error()));
  return out;
}

}  // namespace troupe::gateway
