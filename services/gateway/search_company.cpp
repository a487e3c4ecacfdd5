#include "services/gateway/search_company.hpp"

#include <array>
#include <string>

#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

/// A parameter that draws or changes what is likely, and the value at which it does not.
struct Drawing {
  std::string_view name;
  double neutral;
};
constexpr std::array kDrawing{Drawing{"temperature", 0},
                              Drawing{"top_k", 0},
                              Drawing{"top_p", 1},
                              Drawing{"min_p", 0},
                              Drawing{"typical_p", 1},
                              Drawing{"repetition_penalty", 1},
                              Drawing{"repeat_penalty", 1},
                              Drawing{"top_n_sigma", 0},
                              Drawing{"xtc_probability", 0},
                              Drawing{"dynatemp_range", 0},
                              Drawing{"dry_multiplier", 0},
                              Drawing{"min_tokens", 0},
                              Drawing{"frequency_penalty", 0},
                              Drawing{"presence_penalty", 0}};

/// What ends, bends or forms an answer in ways a search does not know.
constexpr std::array<std::string_view, 12> kForms{
    "logit_bias",    "stop",           "json_schema",        "grammar",   "guided_json",       "guided_regex",
    "guided_choice", "guided_grammar", "structured_outputs", "bad_words", "allowed_token_ids", "prediction"};

bool is_empty(const Json& value) {
  return value == "" || (value.is_structured() && value.empty());
}

}  // namespace

tl::unexpected<ApiError> clash(std::string_view name, std::string_view search, std::string_view why) {
  std::string text(name);
  text += ": does not go with ";
  text += search;
  text += ", ";
  text += why;
  return refuse("unsupported_parameter", std::string(name), text);
}

Parsed<void> check_search_company(const Json& object, std::string_view search) {
  for (const Drawing& drawing : kDrawing) {
    const Json* value = find_value(object, drawing.name);
    if (value == nullptr || value->get<double>() == drawing.neutral) continue;
    const bool below_is_off = drawing.name == "top_k" || drawing.name == "top_n_sigma";
    if (below_is_off && value->get<double>() < 0) continue;  // vLLM's "off", and llama.cpp's
    return clash(drawing.name, search, "which takes the likeliest tokens as they are");
  }
  for (const std::string_view name : kForms) {
    const Json* value = find_value(object, name);
    if (value != nullptr && !is_empty(*value))
      return clash(name, search, "which ends at end tokens and counts what the model says");
  }
  const Json* format = find_value(object, "response_format");
  if (format != nullptr && format->value("type", "text") != "text")
    return clash("response_format", search, "which knows no form of an answer");
  const Json* own = find_value(object, "troupe");
  const Json* preset = own == nullptr ? nullptr : find_value(*own, "preset");
  if (preset != nullptr && *preset != "")
    return clash("troupe.preset", search, "which takes the likeliest tokens as they are");
  const Json* drafts = own == nullptr ? nullptr : find_value(*own, "speculation");
  const Json* drafter = drafts == nullptr ? nullptr : find_value(*drafts, "drafter");
  if (drafter != nullptr && *drafter != "" && *drafter != "off" && *drafter != "auto")
    return clash("troupe.speculation.drafter", search, "whose steps nobody drafts");
  return {};
}

}  // namespace troupe::gateway
