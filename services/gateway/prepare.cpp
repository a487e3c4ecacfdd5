#include "services/gateway/prepare.hpp"

#include <algorithm>
#include <utility>

#include "common/sampling/sampler.hpp"

namespace troupe::gateway {
namespace {

Parsed<std::vector<TokenId>> encode_text(const std::string& text, const Tokenizer& tokenizer) {
  auto ids = tokenizer.encode(text, SpecialTokens::parse, true);
  if (!ids) return tl::unexpected<ApiError>(to_api(ids.error(), "prompt"));
  // Something must be there to predict from; a model's begin token stands for an empty text.
  if (ids->empty() && tokenizer.bos() >= 0) ids->push_back(tokenizer.bos());
  if (ids->empty()) return refuse("invalid_value", "prompt", "prompt: it has no tokens");
  return std::move(*ids);
}

Parsed<void> tokenize(PreparedRun& run) {
  GenerateRequest& request = run.request;
  const Tokenizer& tokenizer = *run.model->tokenizer;
  if (request.chat && !request.token_prompts.empty()) {  // of a record: the template has run
    run.prompts = std::move(request.token_prompts);
    return {};
  }
  if (request.chat) {
    auto ids = run.model->encode_chat(request.messages, request.add_generation_prompt);
    if (!ids) return tl::unexpected<ApiError>(to_api(ids.error(), "messages"));
    if (ids->empty()) return refuse("invalid_value", "messages", "messages: the rendered chat has no tokens");
    run.prompts.push_back(std::move(*ids));
    return {};
  }
  for (const std::string& text : request.text_prompts) {
    auto ids = encode_text(text, tokenizer);
    if (!ids) return tl::unexpected<ApiError>(std::move(ids.error()));
    run.prompts.push_back(std::move(*ids));
  }
  for (auto& ids : request.token_prompts) {
    if (auto checked = check_ids(ids, tokenizer, "prompt"); !checked) return checked;
    if (request.echo) {
      auto text = tokenizer.decode(ids);
      if (!text) return tl::unexpected<ApiError>(to_api(text.error(), "prompt"));
      request.text_prompts.push_back(std::move(*text));
    }
    run.prompts.push_back(std::move(ids));
  }
  return {};
}

Parsed<void> settle_lengths(PreparedRun& run) {
  const std::uint64_t context = run.served.context_length;
  const std::string param = run.request.chat ? "messages" : "prompt";
  for (const auto& prompt : run.prompts) {
    if (prompt.size() >= context) {
      return refuse("context_length_exceeded", param,
                    "the context holds " + std::to_string(context) + " tokens, the prompt has " +
                        std::to_string(prompt.size()) + " and leaves no room for an answer");
    }
    const std::uint64_t room = context - prompt.size();
    const std::uint64_t wanted = run.request.max_tokens.value_or(static_cast<std::uint32_t>(room));
    if (wanted > room) {
      return refuse("context_length_exceeded", "max_tokens",
                    "the context holds " + std::to_string(context) + " tokens; " +
                        std::to_string(prompt.size() + wanted) + " were asked for (" +
                        std::to_string(prompt.size()) + " of the prompt and " + std::to_string(wanted) +
                        " of the answer)");
    }
    run.max_tokens.push_back(static_cast<std::uint32_t>(wanted));
  }
  return {};
}

Parsed<void> check_sampling(SamplingParams& sampling, const Tokenizer& tokenizer) {
  // A limit of exactly 0 keeps the likeliest token alone; the sampler wants a number above 0 for that.
  constexpr float kTiny = 1e-6f;
  sampling.top_p = std::max(sampling.top_p, kTiny);
  sampling.typical_p = std::max(sampling.typical_p, kTiny);
  const auto valid = validate(sampling, static_cast<std::uint32_t>(tokenizer.vocab_size()));
  if (valid) return {};
  ApiError error = to_api(valid.error(), valid.error().detail.substr(0, valid.error().detail.find(' ')));
  error.code = "invalid_value";
  return tl::unexpected<ApiError>(std::move(error));
}

}  // namespace

Parsed<void> check_ids(const std::vector<TokenId>& ids, const Tokenizer& tokenizer, std::string_view param) {
  const auto outside = [&](TokenId id) {
    return id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocab_size();
  };
  const auto found = std::ranges::find_if(ids, outside);
  if (found == ids.end()) return {};
  return refuse("invalid_value", std::string(param),
                std::string(param) + ": the vocabulary has " + std::to_string(tokenizer.vocab_size()) +
                    " tokens, found id " + std::to_string(*found));
}

Parsed<PreparedRun> prepare(GenerateRequest request, std::shared_ptr<const ModelText> model,
                            ServedModel served) {
  PreparedRun run{std::move(request), std::move(model), std::move(served), {}, {}, {}};
  Parsed<void> status = check_sampling(run.request.sampling, *run.model->tokenizer);
  if (status) status = check_ids(run.request.stop_token_ids, *run.model->tokenizer, "stop_token_ids");
  if (status) status = tokenize(run);
  if (status) status = settle_lengths(run);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  return run;
}

}  // namespace troupe::gateway
