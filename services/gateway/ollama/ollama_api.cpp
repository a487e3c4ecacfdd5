#include "services/gateway/ollama/ollama_api.hpp"

#include <utility>

#include "services/gateway/ollama/line_writer.hpp"
#include "services/gateway/ollama/model_cards.hpp"

namespace troupe::gateway::ollama {
namespace {

/// Whose API this is like: clients ask before they use what is newer.
constexpr std::string_view kVersion = "0.12.0";

/// What this model cannot do of what is asked for.
Parsed<void> check_run(const RunRequest& run, const ApiHost::Found& model) {
  const auto& [text, served] = model;
  if (run.context > served.context_length)
    return refuse("invalid_value", "options.num_ctx",
                  "options.num_ctx: the context holds " + std::to_string(served.context_length) +
                      " tokens, found " + std::to_string(run.context));
  if (run.wants_thinking && !can_think(*text))
    return refuse("invalid_value", "think", "think: '" + served.name + "' does not support thinking");
  return {};
}

}  // namespace

std::string OllamaApi::plain_name(const std::string& name, const Caller& caller) const {
  if (!name.ends_with(kLatest) || host_.find_model(name, false, caller)) return name;
  return name.substr(0, name.size() - kLatest.size());
}

void OllamaApi::chat(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) { run(c, parse_chat_run(c.request.body, limits_)); });
}

void OllamaApi::generate(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) { run(c, parse_generate_run(c.request.body, limits_)); });
}

void OllamaApi::run(Call& call, Parsed<RunRequest> parsed) {
  if (!parsed) return call.reply(parsed.error());
  GenerateRequest& request = parsed->request;
  LineOptions options;
  options.chat = parsed->chat;
  options.logprobs = request.logprobs;
  options.model = request.model;
  const Caller& caller = call.visit->caller();
  request.model = plain_name(request.model, caller);
  const auto found = host_.find_model(request.model, true, caller);
  if (!found) return call.reply(found.error());
  if (const auto able = check_run(*parsed, *found); !able) return call.reply(able.error());
  if (parsed->only_loads) return call.reply_json(loaded_answer(options));
  const auto make = [options = std::move(options)](AnswerHead head) {
    return line_writer(options, std::move(head));
  };
  host_.generate(call, std::move(request), {make});
}

void OllamaApi::tags(Call call) const {
  call.reply_json(tags_json(host_.models(call.visit->caller())));
}

void OllamaApi::running(Call call) const {
  call.reply_json(running_json(host_.models(call.visit->caller())));
}

void OllamaApi::show(Call call) const {
  const auto name = parse_model_name(call.request.body);
  if (!name) return call.reply(name.error());
  const Caller& caller = call.visit->caller();
  const auto found = host_.find_model(plain_name(*name, caller), false, caller);
  if (!found) return call.reply(found.error());
  call.reply_json(show_json(*found));
}

void OllamaApi::version(Call call) const {
  call.reply_json("{\"version\":\"" + std::string(kVersion) + "\"}");
}

void OllamaApi::embed(Call call) const {
  call.reply(ApiError{501, "not_implemented", "", "embeddings are not served here", 0});
}

}  // namespace troupe::gateway::ollama
