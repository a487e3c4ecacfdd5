#pragma once
// Answers as OpenAI writes them: whole, or as server-sent events. Text goes straight into the output; no JSON
// tree is built.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/sampling/params.hpp"
#include "common/tokenizer/tokenizer.hpp"
#include "services/gateway/choice_text.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

/// What a run took, as the gateway saw it.
struct RunTimes {
  Duration total{};    ///< since the request arrived
  Duration prepare{};  ///< of that, until its jobs were handed over
  Duration prompt{};   ///< from there to the first token
  Duration answer{};   ///< from there to the last one
};

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t reasoning_tokens = 0;  ///< of the completion; told when there are any
  DraftUsage drafts;                   ///< told when anything was drafted
  RunTimes times = {};
};

/// How a choice ended.
struct ChoiceEnd {
  FinishReason reason = FinishReason::none;
  bool called = false;  ///< tools: an answer that ends by itself waits for their results
  std::string_view stop = {};  ///< the stop string that ended it; empty: something else did
  bool context_full = false;   ///< length: it was the context's, which the client's would have exceeded
};

/// What a finished choice reports under "troupe".
struct ChoiceExtras {
  const std::vector<TokenId>* ids = nullptr;  ///< null: not asked for
  std::optional<double> score = {};           ///< of a hypothesis of a beam search or a superposed draft
};

/// One finished choice of a whole answer.
struct ChoiceResult {
  TextDelta all;
  FinishReason reason = FinishReason::none;
  ChoiceExtras extras = {};
  ChoiceEnd end = {};  ///< the reason again, and what belongs to it
  const std::string* prompt_logprobs = nullptr;  ///< JSON; null: not asked for
};

class AnswerFormat {
 public:
  struct Options {
    bool chat = false;
    std::string id;  ///< hex; the prefix is added
    std::int64_t created = 0;
    std::string model;
    std::string fingerprint;
    bool lossy_pages = false;  ///< said in every object: the lossy techniques at work
    bool converted_pages = false;
    std::string search;        ///< technique that chose the answer, or how it was drawn; empty: none
    std::string service_tier;  ///< that it was served in; empty: not told
    bool logprobs = false;
    bool drafted = false;  ///< say of each token whether it was drafted
    bool include_usage = false;
  };
  AnswerFormat(std::shared_ptr<const Tokenizer> tokenizer, Options options);

  /// From now on objects say that pages were converted.
  void say_converted();

  // Server-sent events, appended to `out`.
  void role_event(std::string& out, std::size_t choice) const;
  void delta_event(std::string& out, std::size_t choice, const TextDelta& delta) const;
  void finish_event(std::string& out, std::size_t choice, ChoiceEnd end, const ChoiceExtras& extras) const;
  void usage_event(std::string& out, const Usage& usage) const;
  static void error_event(std::string& out, const ApiError& error);
  static void done_event(std::string& out);

  [[nodiscard]] std::string whole(const std::vector<ChoiceResult>& choices, const Usage& usage) const;

  /// A token's text as the API shows it; bytes that are no characters by themselves as "\xf0\x9f", after
  /// "bytes:" for completions.
  [[nodiscard]] std::string token_label(TokenId token) const;
  /// An array of tokens with log-probabilities and alternatives, as chats have it.
  void scored_tokens(std::string& out, const std::vector<PlacedToken>& tokens) const;

 private:
  void make_heads();
  void begin_event(std::string& out, std::size_t choice) const;
  void end_event(std::string& out, ChoiceEnd end, const ChoiceExtras& extras,
                 const std::vector<PlacedToken>* placed = nullptr) const;
  void chat_delta(std::string& out, std::size_t choice, const TextDelta& delta) const;
  void chat_message(std::string& out, std::size_t choice, const TextDelta& all) const;
  void call_head(std::string& out, std::size_t choice, const CallDelta& call) const;
  void logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const;
  void chat_logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const;
  void completion_logprobs(std::string& out, const std::vector<PlacedToken>& tokens) const;
  void scored_token(std::string& out, TokenId token, float logprob) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  Options options_;
  std::string event_head_;  ///< everything before the choices; the same in each event
  std::string event_tail_;
  std::string whole_head_;
};

}  // namespace troupe::gateway
