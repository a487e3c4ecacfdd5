#include "services/gateway/openai_schema.hpp"

#include <array>
#include <cmath>
#include <string>

#include "common/sampling/params.hpp"

namespace troupe::gateway {
namespace {

using enum Policy;
constexpr double kMaxInt = 2147483647.0;

constexpr std::array kFields{
    // What is generated from
    Field{"model", kGenerate | kTokenize | kDetokenize, kString},
    Field{"messages", kChat | kTokenize, kArray},
    Field{"prompt", kCompletions, kString | kArray},
    Field{"prompt", kTokenize, kString},
    Field{"add_generation_prompt", kChat | kTokenize, kBoolean},
    Field{"add_special_tokens", kTokenize, kBoolean},
    Field{"return_token_strs", kTokenize, kBoolean},
    Field{"tokens", kDetokenize, kArray},
    Field{"suffix", kCompletions, kString},
    Field{"continue_final_message", kChat | kTokenize, kBoolean},
    Field{"echo", kCompletions, kBoolean},

    // How much, and where it ends
    Field{"max_tokens", kChat, kInteger, used, 1, kMaxInt},
    Field{"max_tokens", kCompletions, kInteger, used, 0, kMaxInt},
    Field{"max_completion_tokens", kChat, kInteger, used, 1, kMaxInt},
    Field{"n", kGenerate, kInteger, used, 1, 128},
    Field{"best_of", kCompletions, kInteger, used, 1, 128},
    Field{"stop", kGenerate, kString | kArray},
    Field{"stop_token_ids", kGenerate, kArray},
    Field{"ignore_eos", kGenerate, kBoolean},
    Field{"min_tokens", kGenerate, kInteger, used, 0, kMaxInt},
    Field{"service_tier", kGenerate, kString},
    Field{"priority", kGenerate, kInteger, used, -1'000'000, 1'000'000},

    // Where it is computed, when nothing else decides
    Field{"prompt_cache_key", kGenerate, kString},
    Field{"user", kGenerate, kString},

    // How tokens are drawn
    Field{"temperature", kGenerate, kNumber, used, 0, 2},
    Field{"top_p", kGenerate, kNumber, used, 0, 1},
    Field{"top_k", kGenerate, kInteger, used, -1, kMaxInt},
    Field{"min_p", kGenerate, kNumber, used, 0, 1},
    Field{"typical_p", kGenerate, kNumber, used, 0, 1},
    Field{"repetition_penalty", kGenerate, kNumber, used, 0.01, 100},
    Field{"frequency_penalty", kGenerate, kNumber, used, -2, 2},
    Field{"presence_penalty", kGenerate, kNumber, used, -2, 2},
    Field{"logit_bias", kGenerate, kObject},
    Field{"bad_words", kGenerate, kArray},
    Field{"allowed_token_ids", kGenerate, kArray},
    Field{"repeat_penalty", kGenerate, kNumber, used, 0.01, 100},
    Field{"repeat_last_n", kGenerate, kInteger, used, -1, kMaxInt},
    Field{"top_n_sigma", kGenerate, kNumber, used, -1, 100},
    Field{"xtc_probability", kGenerate, kNumber, used, 0, 1},
    Field{"xtc_threshold", kGenerate, kNumber, used, 0, 1},
    Field{"dynatemp_range", kGenerate, kNumber, used, 0, 100},
    Field{"dynatemp_exponent", kGenerate, kNumber, used, 0, 100},
    Field{"dry_multiplier", kGenerate, kNumber, used, 0, 100},
    Field{"dry_base", kGenerate, kNumber, used, 1, 100},
    Field{"dry_allowed_length", kGenerate, kInteger, used, 0, kMaxInt},
    Field{"dry_penalty_last_n", kGenerate, kInteger, used, -1, kMaxInt},
    Field{"dry_sequence_breakers", kGenerate, kArray},
    Field{"seed", kGenerate, kInteger, used, -9223372036854775808.0, 9223372036854775807.0},

    // What is reported
    Field{"logprobs", kChat, kBoolean},
    Field{"top_logprobs", kChat, kInteger, used, 0, 20},
    Field{"logprobs", kCompletions, kInteger, used, 0, 20},
    Field{"prompt_logprobs", kGenerate, kInteger, used, 0, 20},
    Field{"include_stop_str_in_output", kGenerate, kBoolean},
    Field{"skip_special_tokens", kGenerate, kBoolean},
    Field{"spaces_between_special_tokens", kGenerate, kBoolean, ignored},
    Field{"stream", kGenerate, kBoolean},
    Field{"stream_options", kGenerate, kObject},
    Field{"include_usage", kStreamOptions, kBoolean},
    Field{"include_obfuscation", kStreamOptions, kBoolean, ignored},
    Field{"troupe", kGenerate, kObject},
    Field{"token_ids", kTroupe, kBoolean},
    Field{"drafted", kTroupe, kBoolean},
    Field{"preset", kTroupe, kString},
    Field{"speculation", kTroupe, kObject},
    Field{"drafter", kSpeculation, kString},
    Field{"prediction", kChat, kObject},
    Field{"type", kPrediction, kString},
    Field{"content", kPrediction, kString | kArray},

    // Search in place of drawing
    Field{"beam", kTroupe, kObject},
    Field{"width", kBeam, kInteger, used, 1, kMostBeams},
    Field{"groups", kBeam, kInteger, used, 1, kMostBeams},
    Field{"diversity_penalty", kBeam, kNumber, used, 0, 100},
    Field{"length_penalty", kBeam, kNumber, used, -10, 10},
    Field{"early_stopping", kBeam, kBoolean | kString},
    Field{"decoding", kTroupe, kString},
    Field{"superposed", kTroupe, kObject},
    Field{"alpha", kSuperposed, kNumber, used, 0, 1},
    Field{"temperature", kSuperposed, kNumber, used, 0.01, 10},
    Field{"candidates", kSuperposed, kInteger, used, 1, kMostSuperposedCandidates},
    Field{"use_beam_search", kGenerate, kBoolean},
    Field{"length_penalty", kGenerate, kNumber, used, -10, 10},

    // What the answer must look like
    Field{"response_format", kGenerate, kObject},
    Field{"type", kResponseFormat, kString},
    Field{"json_schema", kResponseFormat, kObject},
    Field{"schema", kResponseFormat | kJsonSchema, kObject},
    Field{"name", kJsonSchema, kString, ignored},
    Field{"description", kJsonSchema, kString, ignored},
    Field{"strict", kJsonSchema, kBoolean},
    Field{"json_schema", kGenerate, kObject},
    Field{"grammar", kGenerate | kStructured, kString},
    Field{"guided_json", kGenerate, kObject | kString},
    Field{"guided_regex", kGenerate, kString},
    Field{"guided_choice", kGenerate, kArray},
    Field{"guided_grammar", kGenerate, kString},
    Field{"guided_decoding_backend", kGenerate, kString, ignored},
    Field{"guided_whitespace_pattern", kGenerate, kString, only_default},
    Field{"structured_outputs", kGenerate, kObject},
    Field{"json", kStructured, kObject | kString},
    Field{"json_object", kStructured, kBoolean},
    Field{"regex", kStructured, kString},
    Field{"choice", kStructured, kArray},
    Field{"structural_tag", kStructured, kString, only_default},
    Field{"whitespace_pattern", kStructured, kString, only_default},
    Field{"disable_any_whitespace", kStructured, kBoolean, only_default, 0, 0, "false"},

    // Tools, and what else a template shows
    Field{"tools", kChat | kTokenize, kArray},
    Field{"tool_choice", kChat, kString | kObject},
    Field{"parallel_tool_calls", kChat, kBoolean},
    Field{"documents", kChat | kTokenize, kArray},
    Field{"chat_template_kwargs", kChat | kTokenize, kObject},
    Field{"reasoning_effort", kChat | kTokenize, kString},
    Field{"verbosity", kChat | kTokenize, kString},
    Field{"reasoning_format", kChat, kString},
    Field{"tool_format", kTroupe, kString},
    Field{"type", kTool | kToolChoice | kToolCall, kString},
    Field{"function", kTool | kToolChoice | kToolCall, kObject},
    Field{"name", kFunction | kNamedFunction | kCalledFunction, kString},
    Field{"description", kFunction, kString},
    Field{"parameters", kFunction, kObject},
    Field{"strict", kFunction, kBoolean},
    Field{"id", kToolCall, kString},
    Field{"index", kToolCall, kInteger, ignored},
    Field{"arguments", kCalledFunction, kString},

    // Texts that become vectors
    Field{"model", kVectors, kString},
    Field{"input", kEmbeddings, kString | kArray},
    Field{"encoding_format", kEmbeddings, kString},
    Field{"dimensions", kEmbeddings, kInteger, used, 1, kMaxInt},
    Field{"query", kRerank, kString},
    Field{"documents", kRerank, kArray},
    Field{"top_n", kRerank, kInteger, used, 1, kMaxInt},
    Field{"return_documents", kRerank, kBoolean},
    Field{"text_1", kScore, kString | kArray},
    Field{"text_2", kScore, kString | kArray},
    Field{"priority", kVectors, kInteger, used, -1'000'000, 1'000'000},
    Field{"user", kVectors, kString, ignored},
    Field{"troupe", kVectors, kObject},
    Field{"pooling", kTroupeVectors, kString},
    Field{"truncate_prompt_tokens", kVectors, kInteger, only_default},
    Field{"rank_fields", kRerank, kArray, only_default},
    Field{"max_chunks_per_doc", kRerank, kInteger, only_default},
    Field{"max_tokens_per_doc", kRerank, kInteger, only_default},

    // Accepted and without influence on the answer
    Field{"safety_identifier", kGenerate, kString, ignored},
    Field{"prompt_cache_retention", kGenerate, kString, ignored},
    Field{"metadata", kGenerate, kObject, ignored},
    Field{"store", kGenerate, kBoolean, ignored},
    Field{"cache_prompt", kGenerate, kBoolean, ignored},
    Field{"mirostat_tau", kGenerate, kNumber, ignored},
    Field{"mirostat_eta", kGenerate, kNumber, ignored},

    // Would change the answer and is not done
    Field{"functions", kChat, kArray, only_default},
    Field{"function_call", kChat, kString | kObject, only_default, 0, 0, R"("none"|"auto")"},
    Field{"modalities", kChat, kArray, only_default, 0, 0, R"(["text"])"},
    Field{"audio", kChat, kObject, only_default},
    Field{"web_search_options", kChat, kObject, only_default},
    Field{"mirostat", kGenerate, kInteger, only_default, 0, 0, "0"},
    Field{"min_keep", kGenerate, kInteger, only_default, 0, 0, "0|1"},
    Field{"chat_template", kChat, kString, only_default},

    // Of a message
    Field{"role", kMessage, kString},
    Field{"content", kMessage, kString | kArray},
    Field{"name", kMessage, kString},
    Field{"tool_calls", kMessage, kArray},
    Field{"tool_call_id", kMessage, kString},
    Field{"refusal", kMessage, kString, ignored},
    Field{"annotations", kMessage, kArray, ignored},
    Field{"reasoning_content", kMessage, kString},
    Field{"audio", kMessage, kObject, only_default},
    Field{"function_call", kMessage, kObject, only_default},
};

bool has_type(const Json& value, JsonTypes types) {
  if (value.is_boolean()) return (types & kBoolean) != 0;
  if (value.is_number_integer()) return (types & (kInteger | kNumber)) != 0;
  if (value.is_number()) return (types & kNumber) != 0;
  if (value.is_string()) return (types & kString) != 0;
  return (types & (value.is_array() ? kArray : kObject)) != 0;
}

std::string type_names(JsonTypes types) {
  static constexpr std::array<std::string_view, 6> kNames{"a boolean", "an integer", "a number",
                                                          "a string",  "an object",  "an array"};
  std::string out;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((types & (1u << bit)) == 0) continue;
    if (!out.empty()) out += " or ";
    out += kNames[bit];
  }
  return out;
}

bool is_empty(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || (value.is_structured() && value.empty());
}

bool is_neutral(const Json& value, std::string_view neutral) {
  if (is_empty(value)) return true;
  const std::string text = value.dump();
  while (!neutral.empty()) {
    const auto bar = neutral.find('|');
    if (neutral.substr(0, bar) == text) return true;
    neutral = bar == std::string_view::npos ? std::string_view() : neutral.substr(bar + 1);
  }
  return false;
}

std::string bound_text(double value) {
  const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
  return whole ? std::to_string(static_cast<long long>(value)) : Json(value).dump();
}

const Field* find_field(std::span<const Field> table, std::string_view name, Endpoints where) {
  for (const Field& field : table) {
    if ((field.where & where) != 0 && field.name == name) return &field;
  }
  return nullptr;
}

std::string known_names(std::span<const Field> table, Endpoints where) {
  std::string out;
  for (const Field& field : table) {
    if ((field.where & where) == 0 || field.policy != used) continue;
    if (!out.empty()) out += ", ";
    out += field.name;
  }
  return out;
}

Parsed<void> check_bounds(const Field& field, const Json& value, const std::string& param) {
  if (!value.is_number() || field.minimum >= field.maximum) return {};
  const auto number = value.get<double>();
  const bool too_long = value.is_number_unsigned() && value.get<std::uint64_t>() > 9223372036854775807ULL;
  if (number >= field.minimum && number <= field.maximum && !(too_long && (field.types & kInteger) != 0))
    return {};
  return refuse("invalid_value", param,
                param + ": expected " + type_names(field.types & (kInteger | kNumber)) + " from " +
                    bound_text(field.minimum) + " to " + bound_text(field.maximum) + ", found " +
                    describe(value));
}

Parsed<void> check_field(const Field& field, const Json& value, const std::string& param) {
  if (field.policy == only_default) {
    if (is_neutral(value, field.neutral)) return {};
    return refuse("unsupported_parameter", param,
                  param + " is not supported with this value, because it would change the answer");
  }
  if (!has_type(value, field.types)) {
    return refuse("invalid_type", param,
                  param + ": expected " + type_names(field.types) + ", found " + describe(value));
  }
  return check_bounds(field, value, param);
}

}  // namespace

std::span<const Field> fields() {
  return kFields;
}

bool has_field(std::string_view name, Endpoints where) {
  return find_field(kFields, name, where) != nullptr;
}

Parsed<void> check_fields(const Json& object, Endpoints where, std::string_view path) {
  return check_fields(kFields, object, where, path);
}

Parsed<void> check_fields(std::span<const Field> table, const Json& object, Endpoints where,
                          std::string_view path, UnknownKeys unknown) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null()) continue;
    const std::string param = std::string(path) + key;
    const Field* field = find_field(table, key, where);
    if (field == nullptr) {
      if (unknown == UnknownKeys::ignored || is_empty(value)) continue;
      return refuse("unknown_parameter", param,
                    "'" + param + "' is unknown here; known: " + known_names(table, where));
    }
    if (auto checked = check_field(*field, value, param); !checked) return checked;
  }
  return {};
}

const Json* find_value(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace troupe::gateway
