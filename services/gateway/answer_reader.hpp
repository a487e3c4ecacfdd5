#pragma once
// An answer's text as what it consists of: reasoning between <think> and </think> at its beginning, content,
// calls of tools. Byte by byte, so the pieces that text comes in make no difference.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/answer_parts.hpp"
#include "services/gateway/call_parser.hpp"

namespace troupe::gateway {

inline constexpr std::string_view kThinkBegin = "<think>", kThinkEnd = "</think>";

/// Blanks beside the marks of reasoning belong to them. Threads: one.
class AnswerReader {
 public:
  struct Options {
    bool reasoning = false;              ///< it is told apart
    bool begins_inside = false;          ///< the prompt ends with <think>
    const ToolFormat* format = nullptr;  ///< null: calls are not looked for
    std::vector<std::string> tools;      ///< names
  };
  explicit AnswerReader(Options options);

  void push(std::string_view text, AnswerParts& out);
  void finish(AnswerParts& out);
  /// The text stands between the marks.
  [[nodiscard]] bool reasoning() const { return state_ == State::inside; }
  /// Calls that have begun.
  [[nodiscard]] std::size_t calls() const { return calls_ ? calls_->calls() : 0; }

 private:
  enum class State : std::uint8_t { before, inside, behind, content };
  void step(char c, AnswerParts& out);
  void in_before(char c, AnswerParts& out);
  void in_inside(char c, AnswerParts& out);
  void think(std::string_view text, AnswerParts& out);
  void content(std::string_view text, AnswerParts& out);

  State state_;
  std::string held_;    ///< before: blanks and maybe the mark's beginning; inside: the end mark's
  std::string blanks_;  ///< of reasoning, not yet followed by anything
  bool thought_ = false;
  std::optional<CallParser> calls_;
};

}  // namespace troupe::gateway
