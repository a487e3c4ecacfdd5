#include "services/gateway/ollama/run_options.hpp"

#include <array>
#include <string>
#include <utility>

#include "services/gateway/ollama/run_fields.hpp"

namespace troupe::gateway::ollama {
namespace {

using Status = Parsed<void>;

/// Options that a chat has too, and how it calls them.
constexpr std::array<std::pair<const char*, const char*>, 8> kSame{
    {{"temperature", "temperature"},
     {"top_k", "top_k"},
     {"top_p", "top_p"},
     {"min_p", "min_p"},
     {"typical_p", "typical_p"},
     {"presence_penalty", "presence_penalty"},
     {"frequency_penalty", "frequency_penalty"},
     {"stop", "stop"}}};

// The penalty counts the whole text here, and the last 64 tokens there: who names a number would get another
// answer.
Status read_penalty(const Json& options, Json& chat) {
  const Json* penalty = find_value(options, "repeat_penalty");
  if (penalty == nullptr || *penalty == 1) return {};
  const Json* last = find_value(options, "repeat_last_n");
  if (last != nullptr && *last == 0) return {};
  if (last != nullptr && *last != -1)
    return refuse("unsupported_parameter", "options.repeat_last_n",
                  "options.repeat_last_n: expected 0 (no penalty) or -1 (over the whole text)");
  chat["repetition_penalty"] = *penalty;
  return {};
}

}  // namespace

Parsed<std::uint32_t> read_options(const Json* given, Json& chat) {
  chat["temperature"] = 0.8;
  chat["top_k"] = 40;
  chat["top_p"] = 0.9;
  if (given == nullptr) return 0u;
  const Json& options = *given;
  Status status = check(options, kOptions, "options.");
  if (status) status = read_penalty(options, chat);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  for (const auto& [own, name] : kSame)
    if (const Json* value = find_value(options, own)) chat[name] = *value;
  // What is negative means a random one.
  if (const Json* seed = find_value(options, "seed"); seed != nullptr && *seed >= 0) chat["seed"] = *seed;
  // What is not positive means as many as there is room for.
  if (const Json* most = find_value(options, "num_predict"); most != nullptr && *most > 0)
    chat["max_tokens"] = *most;
  const Json* context = find_value(options, "num_ctx");
  return context == nullptr ? 0u : context->get<std::uint32_t>();
}

}  // namespace troupe::gateway::ollama
