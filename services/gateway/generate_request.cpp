#include "services/gateway/generate_request.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "common/base/hash.hpp"
#include "common/sampling/presets.hpp"
#include "common/speculation/speculator.hpp"
#include "services/gateway/beam_request.hpp"
#include "services/gateway/fields/request_fields.hpp"
#include "services/gateway/openai_schema.hpp"
#include "services/gateway/structured_output.hpp"
#include "services/gateway/superposed_request.hpp"
#include "services/gateway/tool_format.hpp"

namespace troupe::gateway {
namespace {

/// Returns the error of a Parsed from the enclosing function.
#define TROUPE_PARSE(expression)                                        \
  do {                                                                  \
    if (auto parse_result = (expression); !parse_result)                \
      return tl::unexpected<ApiError>(std::move(parse_result.error())); \
  } while (false)

using Status = Parsed<void>;

Status missing(const std::string& name) {
  return refuse("missing_required_parameter", name, name + " is required");
}

/// Requests of one session or user are placed together where that costs nothing.
std::uint64_t session_of(const Json& object) {
  for (const char* key : {"prompt_cache_key", "user"}) {
    const Json* name = find_value(object, key);
    if (name == nullptr || name->get_ref<const std::string&>().empty()) continue;
    return std::max<std::uint64_t>(
        1, Hasher().text("session").text(name->get_ref<const std::string&>()).finish<RequestId>().low);
  }
  return 0;
}

Status check_body(const Json& body, Endpoints where) {
  if (!body.is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(body));
  return check_fields(body, where, "");
}

Parsed<Json> read_object(std::string_view body, Endpoints where) {
  auto object = read_json(body);
  if (!object) return object;
  TROUPE_PARSE(check_body(*object, where));
  return object;
}

// The schema has checked types and bounds, so these only fetch.
bool flag(const Json& object, std::string_view key, bool otherwise = false) {
  const Json* value = find_value(object, key);
  return value == nullptr ? otherwise : value->get<bool>();
}
float real(const Json& object, std::string_view key, float otherwise) {
  const Json* value = find_value(object, key);
  return value == nullptr ? otherwise : value->get<float>();
}
std::optional<std::uint32_t> count(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  if (value == nullptr) return std::nullopt;
  return value->get<std::uint32_t>();
}

Parsed<std::string> read_model(const Json& object) {
  const Json* model = find_value(object, "model");
  if (model == nullptr) return refuse("missing_required_parameter", "model", "model is required");
  return model->get<std::string>();
}

Parsed<TokenId> read_token(const Json& value, const std::string& path) {
  if (!value.is_number_integer())
    return refuse("invalid_type", path, path + ": expected a token id, found " + describe(value));
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= std::numeric_limits<TokenId>::max()
                        : value.get<std::int64_t>() >= 0;
  if (!fits) return refuse("invalid_value", path, path + ": expected a token id, found " + describe(value));
  return value.get<TokenId>();
}

Parsed<std::vector<TokenId>> read_tokens(const Json& array, const std::string& path) {
  std::vector<TokenId> out;
  out.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (array[i].is_number_integer() && array[i] >= 0 && array[i] <= std::numeric_limits<TokenId>::max()) {
      out.push_back(array[i].get<TokenId>());
      continue;
    }
    auto token = read_token(array[i], path + "[" + std::to_string(i) + "]");
    if (!token) return tl::unexpected<ApiError>(std::move(token.error()));
  }
  return out;
}

Status read_stop(const Json& object, const RequestLimits& limits, GenerateRequest& out) {
  const Json* stop = find_value(object, "stop");
  if (stop == nullptr) return {};
  const bool single = stop->is_string();
  const std::size_t size = single ? 1 : stop->size();
  if (size > limits.max_stop_strings) {
    return refuse("invalid_value", "stop",
                  "stop: expected at most " + std::to_string(limits.max_stop_strings) + " strings, found " +
                      std::to_string(size));
  }
  for (std::size_t i = 0; i < size; ++i) {
    const Json& item = single ? *stop : (*stop)[i];
    const std::string path = single ? "stop" : "stop[" + std::to_string(i) + "]";
    if (!item.is_string())
      return refuse("invalid_type", path, path + ": expected a string, found " + describe(item));
    const auto& text = item.get_ref<const std::string&>();
    if (text.size() > limits.max_stop_bytes) {
      return refuse("invalid_value", path,
                    path + ": expected at most " + std::to_string(limits.max_stop_bytes) + " bytes, found " +
                        std::to_string(text.size()));
    }
    if (!text.empty()) out.stop.push_back(text);
  }
  return {};
}

Status read_logit_bias(const Json& object, SamplingParams& out) {
  const Json* bias = find_value(object, "logit_bias");
  if (bias == nullptr) return {};
  for (const auto& [key, value] : bias->items()) {
    const std::string path = "logit_bias." + key;
    TokenId token = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (error != std::errc() || end != key.data() + key.size() || token < 0) {
      return refuse("invalid_value", "logit_bias", "logit_bias: keys are token ids");
    }
    if (!value.is_number())
      return refuse("invalid_type", path, path + ": expected a number, found " + describe(value));
    const auto number = value.get<double>();
    if (!(number >= -100 && number <= 100)) {
      return refuse("invalid_value", path,
                    path + ": expected a number from -100 to 100, found " + describe(value));
    }
    out.logit_bias.emplace_back(token, static_cast<float>(number));
  }
  return {};
}

Status read_sampling(const Json& object, SamplingParams& out) {
  out.temperature = real(object, "temperature", out.temperature);
  out.top_p = real(object, "top_p", out.top_p);
  out.min_p = real(object, "min_p", out.min_p);
  out.typical_p = real(object, "typical_p", out.typical_p);
  out.repetition_penalty = real(object, "repetition_penalty", out.repetition_penalty);
  out.frequency_penalty = real(object, "frequency_penalty", out.frequency_penalty);
  out.presence_penalty = real(object, "presence_penalty", out.presence_penalty);
  if (const Json* top_k = find_value(object, "top_k")) {
    out.top_k = static_cast<std::uint32_t>(
        std::max<std::int64_t>(0, top_k->get<std::int64_t>()));  // -1 is vLLM's "off"
  }
  if (const Json* seed = find_value(object, "seed")) {
    out.seed = static_cast<std::uint64_t>(seed->get<std::int64_t>());
  } else {
    detail::random_bytes(&out.seed, sizeof out.seed);
  }
  return read_logit_bias(object, out);
}

Status read_length(const Json& object, GenerateRequest& out) {
  out.max_tokens = count(object, "max_tokens");
  if (const auto newer = count(object, "max_completion_tokens")) {
    if (out.max_tokens && *out.max_tokens != *newer) {
      return refuse("invalid_value", "max_tokens",
                    "max_tokens and max_completion_tokens are both given and differ");
    }
    out.max_tokens = newer;
  }
  return {};
}

Status read_tool_format(const Json& own, GenerateRequest& out) {
  const Json* format = find_value(own, "tool_format");
  if (format == nullptr) return {};
  out.tool_format = format->get<std::string>();
  if (out.tool_format.empty() || find_tool_format(out.tool_format) != nullptr) return {};
  std::string known;
  for (const ToolFormat& one : tool_formats()) known += (known.empty() ? "" : ", ") + std::string(one.name);
  return refuse("invalid_value", "troupe.tool_format", "troupe.tool_format: expected one of " + known);
}

/// Sets what the request's own fields, which are read later, may set otherwise.
Status read_preset(const Json& own, GenerateRequest& out) {
  const Json* name = find_value(own, "preset");
  if (name == nullptr || *name == "") return {};
  const SamplingPreset* preset = find_preset(name->get_ref<const std::string&>());
  if (preset == nullptr) {
    std::string known;
    for (const SamplingPreset& one : sampling_presets()) known += (known.empty() ? "" : ", ") + std::string(one.name);
    return refuse("invalid_value", "troupe.preset", "troupe.preset: expected one of " + known);
  }
  preset->apply(out.sampling);
  out.preset = preset->technique;
  return {};
}

Status read_nested(const Json& object, GenerateRequest& out) {
  if (const Json* options = find_value(object, "stream_options")) {
    TROUPE_PARSE(check_fields(*options, kStreamOptions, "stream_options."));
    if (!out.stream && !options->empty()) {
      return refuse("invalid_value", "stream_options", "stream_options is only allowed when stream is true");
    }
    out.include_usage = flag(*options, "include_usage");
  }
  if (const Json* own = find_value(object, "troupe")) {
    TROUPE_PARSE(check_fields(*own, kTroupe, "troupe."));
    out.token_ids = flag(*own, "token_ids");
    out.drafted = flag(*own, "drafted");
    TROUPE_PARSE(read_tool_format(*own, out));
    TROUPE_PARSE(read_preset(*own, out));
    if (const Json* drafts = find_value(*own, "speculation")) {
      TROUPE_PARSE(check_fields(*drafts, kSpeculation, "troupe.speculation."));
      if (const Json* name = find_value(*drafts, "drafter")) out.drafter = name->get<std::string>();
      if (const auto known = speculation::check_drafter(out.drafter); !known)
        return refuse("invalid_value", "troupe.speculation.drafter", "troupe.speculation.drafter: " + known.error().detail);
    }
  }
  return {};
}

Status read_common(const Json& object, const RequestLimits& limits, GenerateRequest& out) {
  auto model = read_model(object);
  TROUPE_PARSE(model);
  out.model = std::move(*model);
  out.choices = count(object, "n").value_or(1);
  if (out.choices > limits.max_choices) {
    return refuse("invalid_value", "n",
                  "n: expected an integer from 1 to " + std::to_string(limits.max_choices) + ", found " +
                      std::to_string(out.choices));
  }
  out.told = out.choices;
  TROUPE_PARSE(read_length(object, out));
  TROUPE_PARSE(read_stop(object, limits, out));
  if (const Json* ids = find_value(object, "stop_token_ids")) {
    auto tokens = read_tokens(*ids, "stop_token_ids");
    TROUPE_PARSE(tokens);
    if (tokens->size() > 64)
      return refuse("invalid_value", "stop_token_ids", "stop_token_ids: expected at most 64 ids");
    out.stop_token_ids = std::move(*tokens);
  }
  out.ignore_eos = flag(object, "ignore_eos");
  // As vLLM has it, lower values go first; everything behind the edge counts the other way.
  if (const Json* priority = find_value(object, "priority")) out.priority = -priority->get<std::int32_t>();
  out.session = session_of(object);
  out.stream = flag(object, "stream");
  TROUPE_PARSE(read_nested(object, out));
  TROUPE_PARSE(read_sampling(object, out.sampling));
  auto structured = read_structured_output(object);
  TROUPE_PARSE(structured);
  out.grammar = std::move(*structured);
  TROUPE_PARSE(read_fields(object, out));
  auto beam = read_beam(object, out.choices);
  TROUPE_PARSE(beam);
  out.beam = *beam;
  auto superposed = read_superposed(object, out.choices, out.max_tokens);
  TROUPE_PARSE(superposed);
  out.superposed = *superposed;
  if (out.beam.width > 0 || out.superposed.drafts > 0) out.sampling.temperature = 0.0f;
  if (out.superposed.drafts > 0 && !out.max_tokens) {
    out.max_tokens = kMostSuperposedTokens;
    out.cut_to_context = true;
  }
  return {};
}

Status read_prompts(const Json& prompt, const RequestLimits& limits, GenerateRequest& out) {
  if (prompt.is_string()) {
    out.text_prompts.push_back(prompt.get<std::string>());
    return {};
  }
  if (prompt.empty())
    return refuse("invalid_value", "prompt", "prompt: expected at least one, found an empty array");
  if (prompt[0].is_number()) {
    auto tokens = read_tokens(prompt, "prompt");
    TROUPE_PARSE(tokens);
    out.token_prompts.push_back(std::move(*tokens));
    return {};
  }
  if (prompt.size() > limits.max_prompts) {
    return refuse("invalid_value", "prompt",
                  "prompt: expected at most " + std::to_string(limits.max_prompts) + " prompts, found " +
                      std::to_string(prompt.size()));
  }
  const bool texts = prompt[0].is_string();
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::string path = "prompt[" + std::to_string(i) + "]";
    if (texts ? !prompt[i].is_string() : !prompt[i].is_array()) {
      return refuse("invalid_type", path,
                    path + ": expected " + (texts ? "a string" : "an array of token ids") + ", found " +
                        describe(prompt[i]));
    }
    if (texts) {
      out.text_prompts.push_back(prompt[i].get<std::string>());
      continue;
    }
    auto tokens = read_tokens(prompt[i], path);
    TROUPE_PARSE(tokens);
    if (tokens->empty())
      return refuse("invalid_value", path, path + ": expected token ids, found an empty array");
    out.token_prompts.push_back(std::move(*tokens));
  }
  return {};
}

/// As llama.cpp's server has it.
Status read_reasoning(const Json& object, GenerateRequest& out) {
  const Json* format = find_value(object, "reasoning_format");
  if (format == nullptr || *format == "" || *format == "auto") return {};
  if (*format != "none" && *format != "deepseek")
    return refuse("invalid_value", "reasoning_format",
                  "reasoning_format: expected one of auto, deepseek, none");
  out.reasoning = *format == "deepseek";
  return {};
}

Status read_chat(const Json& object, GenerateRequest& out) {
  auto input = read_chat_input(object);
  TROUPE_PARSE(input);
  out.input = std::move(*input);
  out.continues_reasoning = out.input.continues && leaves_reasoning_open(out.input.messages.back());
  auto tools = read_tools(object);
  TROUPE_PARSE(tools);
  out.tools = std::move(*tools);
  if (out.tools.choice != ToolChoice::none) out.input.tools = out.tools.shown;
  using enum grammar::Kind;
  const bool json = out.grammar.kind == none || out.grammar.kind == json_object || out.grammar.kind == json_schema;
  if (out.tools.choice == ToolChoice::automatic && !json)
    return refuse("invalid_value", "tools", "tools: beside them an answer can only be held to be JSON");
  return read_reasoning(object, out);
}

}  // namespace

Parsed<GenerateRequest> parse_chat(std::string_view body, const RequestLimits& limits) {
  auto object = read_json(body);
  TROUPE_PARSE(object);
  return chat_request(*object, limits);
}

Parsed<GenerateRequest> chat_request(const Json& body, const RequestLimits& limits) {
  TROUPE_PARSE(check_body(body, kChat));
  GenerateRequest out;
  out.chat = true;
  TROUPE_PARSE(read_common(body, limits, out));
  TROUPE_PARSE(read_chat(body, out));
  out.logprobs = flag(body, "logprobs");
  out.sampling.logprobs = count(body, "top_logprobs").value_or(0);
  if (out.sampling.logprobs > 0 && !out.logprobs) {
    return refuse("invalid_value", "top_logprobs", "top_logprobs needs logprobs to be true");
  }
  out.sampling.report_logprobs = out.logprobs;
  TROUPE_PARSE(read_prompt_logprobs(body, out));
  return out;
}

Parsed<GenerateRequest> parse_completion(std::string_view body, const RequestLimits& limits) {
  auto object = read_json(body);
  TROUPE_PARSE(object);
  return completion_request(*object, limits);
}

Parsed<GenerateRequest> completion_request(const Json& body, const RequestLimits& limits) {
  TROUPE_PARSE(check_body(body, kCompletions));
  GenerateRequest out;
  TROUPE_PARSE(read_common(body, limits, out));
  const Json* prompt = find_value(body, "prompt");
  if (prompt == nullptr) TROUPE_PARSE(missing("prompt"));
  TROUPE_PARSE(read_prompts(*prompt, limits, out));
  out.echo = flag(body, "echo");
  if (const auto alternatives = count(body, "logprobs")) {
    out.logprobs = true;
    out.sampling.logprobs = *alternatives;
  }
  out.sampling.report_logprobs = out.logprobs;
  TROUPE_PARSE(read_prompt_logprobs(body, out));
  if (const auto best_of = count(body, "best_of"); best_of && out.beam.width == 0)
    TROUPE_PARSE(read_best_of(*best_of, limits, out));
  if (const Json* suffix = find_value(body, "suffix")) out.suffix = suffix->get<std::string>();
  if (out.echo && !out.suffix.empty())
    return refuse("invalid_value", "suffix", "suffix: an answer between two texts does not begin with the first");
  if (out.max_tokens == 0u && !out.echo) {
    return refuse("invalid_value", "max_tokens", "max_tokens: 0 is only of use together with echo");
  }
  return out;
}

Parsed<TokenizeRequest> parse_tokenize(std::string_view body) {
  auto object = read_object(body, kTokenize);
  TROUPE_PARSE(object);
  TokenizeRequest out;
  auto model = read_model(*object);
  TROUPE_PARSE(model);
  out.model = std::move(*model);
  const Json* prompt = find_value(*object, "prompt");
  const bool has_messages = find_value(*object, "messages") != nullptr;
  if ((prompt != nullptr) == has_messages) {
    return refuse("missing_required_parameter", "prompt", "exactly one of prompt and messages is required");
  }
  if (prompt != nullptr) out.prompt = prompt->get<std::string>();
  if (has_messages) {
    auto input = read_chat_input(*object);
    TROUPE_PARSE(input);
    out.input = std::move(*input);
    auto tools = read_tools(*object);
    TROUPE_PARSE(tools);
    out.input.tools = std::move(tools->shown);
  }
  out.add_special_tokens = flag(*object, "add_special_tokens", true);
  out.return_token_strs = flag(*object, "return_token_strs");
  return out;
}

Parsed<DetokenizeRequest> parse_detokenize(std::string_view body) {
  auto object = read_object(body, kDetokenize);
  TROUPE_PARSE(object);
  DetokenizeRequest out;
  auto model = read_model(*object);
  TROUPE_PARSE(model);
  out.model = std::move(*model);
  const Json* tokens = find_value(*object, "tokens");
  if (tokens == nullptr) TROUPE_PARSE(missing("tokens"));
  auto ids = read_tokens(*tokens, "tokens");
  TROUPE_PARSE(ids);
  out.tokens = std::move(*ids);
  return out;
}

}  // namespace troupe::gateway
