#include "services/gateway/fields/request_fields.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <utility>

#include "services/gateway/messages.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

using Status = Parsed<void>;

constexpr std::size_t kMostAllowedTokens = 4096;
constexpr std::size_t kMostBadWords = 128, kMostBadWordBytes = 256;
constexpr std::size_t kMostBreakers = 64, kMostBreakerBytes = 40;

void read_real(const Json& object, std::string_view key, float& out) {
  if (const Json* value = find_value(object, key)) out = value->get<float>();
}
void read_whole(const Json& object, std::string_view key, std::int32_t& out) {
  if (const Json* value = find_value(object, key)) out = value->get<std::int32_t>();
}
bool is_set(const Json& object, std::string_view key, bool otherwise) {
  const Json* value = find_value(object, key);
  return value == nullptr ? otherwise : value->get<bool>();
}

/// A list of texts, none of them empty.
Parsed<std::vector<std::string>> read_texts(const Json& list, const std::string& name, std::size_t most,
                                            std::size_t most_bytes) {
  if (list.size() > most)
    return refuse("invalid_value", name,
                  name + ": expected at most " + std::to_string(most) + " strings, found " +
                      std::to_string(list.size()));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = name + "[" + std::to_string(i) + "]";
    if (!list[i].is_string())
      return refuse("invalid_type", path, path + ": expected a string, found " + describe(list[i]));
    out.push_back(list[i].get<std::string>());
    if (out.back().empty() || out.back().size() > most_bytes)
      return refuse("invalid_value", path,
                    path + ": expected 1 to " + std::to_string(most_bytes) + " bytes, found " +
                        std::to_string(out.back().size()));
  }
  return out;
}

/// llama.cpp's names. Its -1 for top_n_sigma is "off".
Status read_samplers(const Json& object, GenerateRequest& out) {
  SamplingParams& sampling = out.sampling;
  if (const Json* penalty = find_value(object, "repeat_penalty")) {
    const auto value = penalty->get<float>();
    if (find_value(object, "repetition_penalty") != nullptr && value != sampling.repetition_penalty)
      return refuse("invalid_value", "repeat_penalty",
                    "repeat_penalty and repetition_penalty are both given and differ");
    sampling.repetition_penalty = value;
  }
  read_whole(object, "repeat_last_n", sampling.repeat_last_n);
  read_real(object, "top_n_sigma", sampling.top_n_sigma);
  sampling.top_n_sigma = std::max(sampling.top_n_sigma, 0.0f);
  read_real(object, "xtc_probability", sampling.xtc_probability);
  read_real(object, "xtc_threshold", sampling.xtc_threshold);
  read_real(object, "dynatemp_range", sampling.dynatemp_range);
  read_real(object, "dynatemp_exponent", sampling.dynatemp_exponent);
  if (sampling.dynatemp_range > 0.0f && !(sampling.temperature > 0.0f))
    return refuse("invalid_value", "dynatemp_range",
                  "dynatemp_range: needs a temperature above 0, which it is a range about");
  return {};
}

Status read_dry(const Json& object, GenerateRequest& out) {
  DryParams& dry = out.sampling.dry;
  read_real(object, "dry_multiplier", dry.multiplier);
  read_real(object, "dry_base", dry.base);
  read_whole(object, "dry_penalty_last_n", dry.last_n);
  if (const Json* length = find_value(object, "dry_allowed_length"))
    dry.allowed_length = length->get<std::uint32_t>();
  const Json* breakers = find_value(object, "dry_sequence_breakers");
  if (breakers == nullptr) {
    out.dry_breakers = {"\n", ":", "\"", "*"};
    return {};
  }
  auto texts = read_texts(*breakers, "dry_sequence_breakers", kMostBreakers, kMostBreakerBytes);
  if (!texts) return tl::unexpected<ApiError>(std::move(texts.error()));
  out.dry_breakers = std::move(*texts);
  return {};
}

/// vLLM's names.
Status read_rules(const Json& object, GenerateRequest& out) {
  if (const Json* least = find_value(object, "min_tokens"))
    out.rules.min_tokens = least->get<std::uint32_t>();
  if (out.max_tokens && out.rules.min_tokens > *out.max_tokens)
    return refuse("invalid_value", "min_tokens",
                  "min_tokens: " + std::to_string(out.rules.min_tokens) + " is more than max_tokens, " +
                      std::to_string(*out.max_tokens));
  if (const Json* words = find_value(object, "bad_words")) {
    auto texts = read_texts(*words, "bad_words", kMostBadWords, kMostBadWordBytes);
    if (!texts) return tl::unexpected<ApiError>(std::move(texts.error()));
    out.bad_words = std::move(*texts);
  }
  const Json* allowed = find_value(object, "allowed_token_ids");
  if (allowed == nullptr) return {};
  if (allowed->size() > kMostAllowedTokens)
    return refuse("invalid_value", "allowed_token_ids",
                  "allowed_token_ids: expected at most " + std::to_string(kMostAllowedTokens) +
                      " ids, found " + std::to_string(allowed->size()));
  for (std::size_t i = 0; i < allowed->size(); ++i) {
    const Json& id = (*allowed)[i];
    const std::string path = "allowed_token_ids[" + std::to_string(i) + "]";
    if (!id.is_number_integer())
      return refuse("invalid_type", path, path + ": expected a token id, found " + describe(id));
    if (id < 0 || id > std::numeric_limits<TokenId>::max())
      return refuse("invalid_value", path, path + ": expected a token id, found " + describe(id));
    out.rules.allowed.push_back(id.get<TokenId>());
  }
  return {};
}

struct Tier {
  std::string_view asked, told;
  std::int32_t priority;  ///< higher goes first
};
constexpr std::array kTiers{Tier{"auto", "default", 0}, Tier{"default", "default", 0},
                            Tier{"flex", "flex", -100}, Tier{"priority", "priority", 100}};

Status read_tier(const Json& object, GenerateRequest& out) {
  const Json* asked = find_value(object, "service_tier");
  if (asked == nullptr || asked->get_ref<const std::string&>().empty()) return {};
  const auto tier = std::ranges::find(kTiers, asked->get_ref<const std::string&>(), &Tier::asked);
  if (tier == kTiers.end())
    return refuse("invalid_value", "service_tier",
                  "service_tier: expected one of auto, default, flex, priority");
  if (tier->priority != 0 && find_value(object, "priority") != nullptr)
    return refuse("invalid_value", "service_tier",
                  "service_tier and priority are both given, and each says who goes first");
  if (tier->priority != 0) out.priority = tier->priority;
  out.service_tier = tier->told;
  return {};
}

/// What the client thinks the answer to be is guessed at, and nothing else follows from it.
Status read_prediction(const Json& object, GenerateRequest& out) {
  const Json* prediction = find_value(object, "prediction");
  if (prediction == nullptr) return {};
  if (auto checked = check_fields(*prediction, kPrediction, "prediction."); !checked) return checked;
  const Json* type = find_value(*prediction, "type");
  if (type == nullptr)
    return refuse("missing_required_parameter", "prediction.type", "prediction.type is required");
  if (*type != "content")
    return refuse("invalid_value", "prediction.type", "prediction.type: only 'content' is known");
  const Json* content = find_value(*prediction, "content");
  if (content == nullptr)
    return refuse("missing_required_parameter", "prediction.content", "prediction.content is required");
  auto text = read_content(content, "prediction.content");
  if (!text) return tl::unexpected<ApiError>(std::move(text.error()));
  out.prediction = std::move(*text);
  if (out.drafter.empty() && !out.prediction.empty()) out.drafter = "input-copy";
  return {};
}

}  // namespace

Parsed<void> read_fields(const Json& object, GenerateRequest& out) {
  Status status = read_samplers(object, out);
  if (status) status = read_dry(object, out);
  if (status) status = read_rules(object, out);
  if (status) status = read_tier(object, out);
  if (status) status = read_prediction(object, out);
  out.include_stop = is_set(object, "include_stop_str_in_output", false);
  out.show_special = !is_set(object, "skip_special_tokens", true);
  return status;
}

Parsed<void> read_best_of(std::uint32_t best_of, const RequestLimits& limits, GenerateRequest& out) {
  if (best_of < out.choices || best_of > limits.max_choices)
    return refuse("invalid_value", "best_of",
                  "best_of: expected an integer from n, " + std::to_string(out.choices) + ", to " +
                      std::to_string(limits.max_choices) + ", found " + std::to_string(best_of));
  if (best_of == out.choices) return {};
  if (out.stream)
    return refuse("invalid_value", "best_of",
                  "best_of: choices that are chosen at their end cannot be streamed");
  out.told = std::exchange(out.choices, best_of);
  out.sampling.report_logprobs = true;
  return {};
}

Parsed<void> read_prompt_logprobs(const Json& object, GenerateRequest& out) {
  out.alternatives = out.sampling.logprobs;
  const Json* asked = find_value(object, "prompt_logprobs");
  if (asked == nullptr) return {};
  if (out.stream)
    return refuse("invalid_value", "prompt_logprobs", "prompt_logprobs: is not available in a stream");
  out.prompt_logprobs = asked->get<std::uint32_t>();
  out.sampling.logprobs = std::max(out.sampling.logprobs, *out.prompt_logprobs);
  return {};
}

}  // namespace troupe::gateway
