#include "services/gateway/prepare.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "common/sampling/sampler.hpp"
#include "services/gateway/fields/fill_in.hpp"
#include "services/gateway/fields/settle_fields.hpp"
#include "services/gateway/tool_grammar.hpp"

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
    auto ids = chat_tokens(std::move(request.input), *run.model);
    if (!ids) return tl::unexpected<ApiError>(std::move(ids.error()));
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

/// With a suffix, prompts become ones for what stands before it.
Parsed<void> fill_in(PreparedRun& run) {
  if (run.request.suffix.empty()) return {};
  const Tokenizer& tokenizer = *run.model->tokenizer;
  const auto marks = fill_in_tokens(tokenizer);
  if (!marks)
    return refuse("unsupported_parameter", "suffix",
                  "suffix: this model's vocabulary has no tokens that ask for what stands between two texts");
  const auto after = tokenizer.encode(run.request.suffix, SpecialTokens::as_text, false);
  if (!after) return tl::unexpected<ApiError>(to_api(after.error(), "suffix"));
  for (auto& prompt : run.prompts) prompt = fill_in_prompt(*marks, prompt, *after, tokenizer.bos());
  return {};
}

constexpr std::size_t kLongestMark = 16;  // tokens that the spelling of <think> and what follows it may take

/// The prompt ends with <think>: the answer goes on in it.
bool ends_in_reasoning(const std::vector<TokenId>& prompt, const Tokenizer& tokenizer) {
  const std::size_t count = std::min(prompt.size(), kLongestMark);
  const auto text = tokenizer.decode(std::span(prompt).last(count), true);
  if (!text) return false;
  const auto end = text->find_last_not_of(" \t\r\n");
  return end != std::string::npos && std::string_view(*text).substr(0, end + 1).ends_with(kThinkBegin);
}

/// Control tokens among the marks, which are hidden from text otherwise.
void show_mark(std::string_view mark, const Tokenizer& tokenizer, std::vector<TokenId>& out) {
  const auto ids = tokenizer.encode(mark, SpecialTokens::parse, false);
  if (ids && ids->size() == 1 && tokenizer.is_special(ids->front())) out.push_back(ids->front());
}

/// What calls and reasoning look like in the answer, and what holds it to that.
Parsed<void> settle_form(PreparedRun& run) {
  GenerateRequest& request = run.request;
  if (!request.chat || !run.model->chat_template) return {};
  const ChatTemplate& chat_template = *run.model->chat_template;
  const Tokenizer& tokenizer = *run.model->tokenizer;
  const bool held = request.grammar.kind != grammar::Kind::none || request.tools.forced();
  run.reader.reasoning =
      !held && request.reasoning.value_or(chat_template.source().find(kThinkBegin) != std::string_view::npos);
  run.reader.begins_inside = run.reader.reasoning && (request.continues_reasoning ||
                                                      ends_in_reasoning(run.prompts.front(), tokenizer));
  if (run.reader.reasoning) {
    for (const auto mark : {kThinkBegin, kThinkEnd}) show_mark(mark, tokenizer, run.shown);
  }
  if (request.tools.choice == ToolChoice::none) return {};
  const ToolFormat* named = find_tool_format(request.tool_format);
  const ToolFormat& format = named != nullptr ? *named : tool_format_of(chat_template);
  auto grammar = tool_grammar(request.tools, format, request.grammar);
  if (!grammar) return tl::unexpected<ApiError>(std::move(grammar.error()));
  request.grammar = std::move(*grammar);
  run.reader.format = &format;
  for (const Tool& tool : request.tools.tools) run.reader.tools.push_back(tool.name);
  for (const CallMarks& marks : format.marks) {
    show_mark(marks.begin, tokenizer, run.shown);
    if (!marks.end.empty()) show_mark(marks.end, tokenizer, run.shown);
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
    std::uint64_t wanted = run.request.max_tokens.value_or(static_cast<std::uint32_t>(room));
    if (run.request.cut_to_context) wanted = std::min(wanted, room);
    if (wanted > room) {
      return refuse("context_length_exceeded", "max_tokens",
                    "the context holds " + std::to_string(context) + " tokens; " +
                        std::to_string(prompt.size() + wanted) + " were asked for (" +
                        std::to_string(prompt.size()) + " of the prompt and " + std::to_string(wanted) +
                        " of the answer)");
    }
    if (run.request.rules.min_tokens > wanted)
      return refuse("invalid_value", "min_tokens",
                    "min_tokens: " + std::to_string(run.request.rules.min_tokens) + " is more than the " +
                        std::to_string(wanted) + " tokens that the answer may have");
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

Parsed<std::vector<TokenId>> chat_tokens(ChatInput input, const ModelText& model) {
  if (model.chat_template) {
    auto fitted = fit_to_template(std::move(input), *model.chat_template);
    if (!fitted) return tl::unexpected<ApiError>(std::move(fitted.error()));
    input = std::move(*fitted);
  }
  auto ids = model.encode_chat(input);
  if (!ids) return tl::unexpected<ApiError>(to_api(ids.error(), "messages"));
  return std::move(*ids);
}

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
  PreparedRun run{std::move(request), std::move(model), std::move(served), {}, {}, {}, {}, {}};
  Parsed<void> status = settle_fields(run.request, *run.model->tokenizer);
  if (status) status = check_sampling(run.request.sampling, *run.model->tokenizer);
  if (status) status = tokenize(run);
  if (status) status = fill_in(run);
  if (status) status = settle_form(run);
  if (status) status = settle_lengths(run);
  if (!status) return tl::unexpected<ApiError>(std::move(status.error()));
  return run;
}

}  // namespace troupe::gateway
