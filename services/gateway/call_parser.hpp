#pragma once
// Finds calls of tools in an answer while it is written. It reads byte by byte, so the pieces that text comes
// in make no difference. A call is told when its name is known to be a tool's and its arguments begin; until
// then its text is held back, and is content after all when it turns out to be something else.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/answer_parts.hpp"
#include "services/gateway/tool_format.hpp"

namespace troupe::gateway {

/// Of what is written outside of calls everything is content but the marks of calls and the blanks beside
/// them. A call cut off behind the beginning of its arguments is told as far as it goes. Threads: one.
class CallParser {
 public:
  /// `format` outlives this. `names`: the tools; what names another is content.
  CallParser(const ToolFormat& format, std::vector<std::string> names);

  void push(std::string_view text, AnswerParts& out);
  /// The answer is over.
  void finish(AnswerParts& out);
  /// Calls that have begun.
  [[nodiscard]] std::size_t calls() const { return calls_; }

  /// Text that may be held back: an object that is longer before its arguments begin is content.
  static constexpr std::size_t kMostHeld = 16 * 1024;

 private:
  enum class State : std::uint8_t {
    text,       // content, maybe the beginning of a mark
    opened,     // behind a mark, or in a list: an object must follow
    object,     // in an object that may be a call
    arguments,  // of a call that has been told
    rest,       // behind them
    extras,     // in what else the object has
    listed,     // behind an object in a list
    closing,    // behind an object or a list: an end mark, or another object
  };
  /// Where an object's text stands.
  struct Scan {
    std::string open;  // brackets
    bool in_string = false, escaped = false;
    std::size_t strings = 0;  // that have ended
    void push(char c);
  };

  void run(AnswerParts& out);
  void step(char c, AnswerParts& out);
  void in_text(char c, AnswerParts& out);
  void in_opened(char c, AnswerParts& out);
  void in_object(char c, AnswerParts& out);
  void in_arguments(char c, AnswerParts& out);
  void in_rest(char c, AnswerParts& out);
  void in_extras(char c, AnswerParts& out);
  void in_listed(char c, AnswerParts& out);
  void in_closing(char c, AnswerParts& out);
  void begin_value(char c);
  void value_over();
  void try_head(AnswerParts& out);
  void try_whole(AnswerParts& out);
  [[nodiscard]] std::string_view object_text() const { return std::string_view(held_).substr(object_at_); }
  [[nodiscard]] bool is_tool(std::string_view name) const;
  [[nodiscard]] bool closes_cleanly() const;
  void begin_call(std::string_view name, std::string arguments, AnswerParts& out);
  void show(char c, AnswerParts& out);
  /// What is held is no call: its first `solid` bytes are content, the others are read again as text.
  void reject(std::size_t solid, AnswerParts& out);

  const ToolFormat& format_;
  std::vector<std::string> names_;
  std::string first_bytes_;  // of marks
  std::string input_;
  std::size_t at_ = 0;
  State state_ = State::text;
  std::string held_;    // neither content nor call yet
  std::string blanks_;  // the content's last ones: a call that follows drops them
  std::string_view end_;
  std::size_t end_at_ = std::string::npos;  // in held_: where `end_` may begin
  std::size_t object_at_ = 0;               // in held_
  Scan scan_;
  bool list_ = false;
  bool has_text_ = false;    // content that is not blank
  bool after_call_ = false;  // nothing else has come since
  std::size_t calls_ = 0;
};

}  // namespace troupe::gateway
