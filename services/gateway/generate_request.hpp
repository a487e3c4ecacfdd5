#pragma once
// The body of /v1/chat/completions and /v1/completions as plain values, every one checked.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/grammar/source.hpp"
#include "common/sampling/params.hpp"
#include "services/gateway/chat_input.hpp"
#include "services/gateway/json_reader.hpp"
#include "services/gateway/tool_request.hpp"

namespace troupe::gateway {

struct RequestLimits {
  std::uint32_t max_choices = 16;  ///< n
  std::size_t max_prompts = 256;   ///< of one completions request
  std::size_t max_stop_strings = 16;
  std::size_t max_stop_bytes = 1024;  ///< of one stop string
};

struct GenerateRequest {
  bool chat = false;
  std::string model;
  ChatInput input;                        ///< chat: what the template is given
  ToolRequest tools;                      ///< chat
  std::string tool_format;                ///< troupe.tool_format; empty: as the template has it
  std::optional<bool> reasoning;          ///< told apart; none: as the template has it
  std::vector<std::string> text_prompts;  ///< completions: these or those
  std::vector<std::vector<TokenId>>
      token_prompts;                        ///< a chat has one here when it is made again from a record
  std::string suffix;                       ///< completions: what stands behind the answer; empty: nothing
  std::uint32_t choices = 1;                ///< per prompt
  std::uint32_t told = 1;                   ///< of them, per prompt: the likeliest of best_of, otherwise all
  std::optional<std::uint32_t> max_tokens;  ///< none: what is left of the context
  bool cut_to_context = false;  ///< a max_tokens beyond what is left of the context is cut, not refused
  std::vector<std::string> stop;
  std::vector<TokenId> stop_token_ids;
  std::int32_t priority = 0;  ///< higher goes first
  std::uint64_t session = 0;  ///< hash of prompt_cache_key, else of user; 0: neither was sent
  bool ignore_eos = false;
  SamplingParams sampling;  ///< seed is drawn when the client gave none
  std::vector<std::string>
      dry_breakers;  ///< their tokens, as those of bad_words, are found by settle_fields()
  TokenRules rules;
  std::vector<std::string> bad_words;
  bool stream = false;
  bool include_usage = false;
  bool echo = false;
  bool logprobs = false;  ///< report them
  std::uint32_t alternatives =
      0;  ///< of an answer's tokens; sampling.logprobs, of all that is computed, may be more
  std::optional<std::uint32_t> prompt_logprobs;  ///< alternatives of the prompt's tokens; none: not asked for
  bool include_stop = false;         ///< a stop string, or a stop token with a text, is part of the answer
  bool show_special = false;         ///< special tokens are text
  bool continues_reasoning = false;  ///< continue_final_message: that message ends within its reasoning
  std::string_view preset;           ///< troupe.preset: the technique it is, told in the answer; empty: none
  std::string service_tier;          ///< told in the answer; empty: not asked for
  bool token_ids = false;            ///< troupe.token_ids: list the ids behind each choice
  bool drafted = false;              ///< troupe.drafted: say which tokens were drafted, and keep no record
  std::string drafter;               ///< troupe.speculation.drafter; empty: the worker's option
  std::string prediction;            ///< what the client thinks the answer to be; empty: it does not say
  std::vector<TokenId> reference;    ///< its tokens, by settle_fields()
  BeamParams beam;                   ///< troupe.beam; width 0: none
  SuperposedParams superposed;       ///< troupe.decoding superposed; drafts 0: none
  grammar::Source grammar;           ///< what the answer must look like; it compiles
};

/// Errors: malformed_json, invalid_utf8, invalid_type, invalid_value, missing_required_parameter,
/// unknown_parameter, unsupported_parameter; always with the field's path.
[[nodiscard]] Parsed<GenerateRequest> parse_chat(std::string_view body, const RequestLimits& limits = {});
/// The same of a body that has been read, or was made of another API's.
[[nodiscard]] Parsed<GenerateRequest> chat_request(const Json& body, const RequestLimits& limits = {});
[[nodiscard]] Parsed<GenerateRequest> parse_completion(std::string_view body,
                                                       const RequestLimits& limits = {});
[[nodiscard]] Parsed<GenerateRequest> completion_request(const Json& body, const RequestLimits& limits = {});

struct TokenizeRequest {
  std::string model;
  std::optional<std::string> prompt;  ///< this or messages
  ChatInput input;
  bool add_special_tokens = true;
  bool return_token_strs = false;
};
struct DetokenizeRequest {
  std::string model;
  std::vector<TokenId> tokens;
};
[[nodiscard]] Parsed<TokenizeRequest> parse_tokenize(std::string_view body);
[[nodiscard]] Parsed<DetokenizeRequest> parse_detokenize(std::string_view body);

}  // namespace troupe::gateway
