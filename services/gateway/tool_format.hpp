#pragma once
// How a family of models writes calls of tools. A format is a row of a table: what marks a call in an answer,
// and how an answer that must be a call is spelled.
#include <span>
#include <string_view>
#include <vector>

#include "common/template/chat_template.hpp"

namespace troupe::gateway {

/// What stands around a call, or around a list of calls.
struct CallMarks {
  std::string_view begin;
  std::string_view end;  ///< empty: nothing; may be missing in an answer
};

struct ToolFormat {
  std::string_view name;
  std::string_view summary;
  std::vector<CallMarks> marks;  ///< none begins like another
  bool bare = false;             ///< an answer may begin with the JSON itself
  // How calls are spelled when they must be made: open, `{"name": ..., key: ...}`, between, ..., close.
  std::string_view open, between, close, key;
  /// With tools that are free to be called: any text up to this, which `open` begins with. Empty: a text
  /// that begins with none of `unlike`.
  std::string_view trigger, unlike;
};

[[nodiscard]] std::span<const ToolFormat> tool_formats();
/// nullptr: there is none of this name.
[[nodiscard]] const ToolFormat* find_tool_format(std::string_view name);
/// By the markers in the template's text; "generic" where the template shows no tools, so that they are shown
/// by tool_prompt.
[[nodiscard]] const ToolFormat& tool_format_of(const ChatTemplate& chat_template);

}  // namespace troupe::gateway
