#pragma once
// One choice's tokens on their way to text: detokenized without splitting a character, cut at stop strings,
// counted. Whatever the pieces tokens come in, the concatenated result is the same; streaming and whole
// answers share this class.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/sampling/params.hpp"
#include "common/tokenizer/tokenizer.hpp"
#include "services/gateway/answer_reader.hpp"
#include "services/gateway/stop_matcher.hpp"

namespace troupe::gateway {

/// A token whose text has been let out, with the place in the choice's text where it begins.
struct PlacedToken {
  GeneratedToken token;
  std::size_t characters_before = 0;
  bool scored = true;  ///< false: the first token of an echoed prompt, which nothing precedes
  bool drafted = false;
};

struct TextDelta : AnswerParts {
  std::vector<PlacedToken> tokens;  ///< filled only when asked for
};

class ChoiceText {
 public:
  struct Options {
    std::vector<std::string> stop;
    std::vector<TokenId> end_tokens;  ///< end the answer, are counted, are no part of the text
    std::uint64_t min_tokens = 0;     ///< stop strings are looked for in the text of later ones
    bool include_stop = false;  ///< a stop string, and an end token that has a text, is part of the text
    bool show_special = false;  ///< special tokens have one
    bool keep_tokens = false;   ///< for log-probabilities and troupe.drafted
    bool keep_ids = false;      ///< for troupe.token_ids
    bool starts_text = true;    ///< false: continues a raw prompt, so a leading space belongs to it
    bool discard = false;       ///< max_tokens 0: the prompt alone was wanted
    std::size_t characters_before = 0;  ///< of an echoed prompt
    AnswerReader::Options reader = {};  ///< what is told apart from content
    std::vector<TokenId> shown = {};  ///< control tokens that are text here: the marks of calls and reasoning
  };
  ChoiceText(std::shared_ptr<const Tokenizer> tokenizer, Options options);

  /// `finish` is none while more follows. What comes after the end is ignored. The first `drafted` tokens
  /// were guesses that came true.
  [[nodiscard]] TextDelta push(std::span<const GeneratedToken> tokens, FinishReason finish,
                               std::size_t drafted = 0);

  [[nodiscard]] bool finished() const { return reason_ != FinishReason::none; }
  [[nodiscard]] FinishReason reason() const { return reason_; }
  /// The stop string that ended it; empty: something else did.
  [[nodiscard]] std::string_view stop_string() const { return stops_.matched_text(); }
  /// Tokens up to the end, the end token and those of a stop string included, as OpenAI counts what was
  /// generated.
  [[nodiscard]] std::uint64_t completion_tokens() const { return completion_tokens_; }
  /// Mean log-probability of all these; 0 of none.
  [[nodiscard]] double mean_logprob() const;
  /// Those of them that made reasoning or its marks.
  [[nodiscard]] std::uint64_t reasoning_tokens() const { return reasoning_tokens_; }
  /// Calls of tools that have begun.
  [[nodiscard]] std::size_t calls() const { return reader_.calls(); }
  [[nodiscard]] const std::vector<TokenId>& ids() const { return ids_; }

 private:
  struct Waiting {
    GeneratedToken token;
    std::size_t begin_bytes = 0;
    std::size_t begin_characters = 0;
    bool drafted = false;
  };
  void push_token(const GeneratedToken& token, bool drafted, TextDelta& out);
  [[nodiscard]] PlacedToken placed(Waiting&& token) const;
  [[nodiscard]] std::string text_of(TokenId token);
  void let_out(std::string_view text, TextDelta& out);
  void finish_with(FinishReason reason, TextDelta& out);
  [[nodiscard]] bool ends_answer(TokenId token) const;
  [[nodiscard]] bool shows_end(TokenId token) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  Options options_;
  StreamDecoder decoder_;
  StopMatcher stops_;
  AnswerReader reader_;
  std::vector<Waiting> waiting_;
  std::vector<TokenId> ids_;
  std::size_t decoded_bytes_ = 0;
  std::size_t decoded_characters_ = 0;
  std::size_t shown_bytes_ = 0;
  std::uint64_t completion_tokens_ = 0;
  double logprobs_ = 0;  ///< of these, summed
  std::uint64_t reasoning_tokens_ = 0;
  FinishReason reason_ = FinishReason::none;
};

}  // namespace troupe::gateway
