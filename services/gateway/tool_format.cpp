#include "services/gateway/tool_format.hpp"

#include <algorithm>
#include <array>

namespace troupe::gateway {
namespace {

constexpr CallMarks kTags{"<tool_call>", "</tool_call>"};
constexpr CallMarks kJsonFence{"```json", "```"}, kCodeFence{"```tool_code", "```"},
    kCallFence{"```tool_call", "```"};

// The entries are found by these places.
enum Place : std::size_t { hermes, llama3, mistral, gemma, json, generic, places };

const std::array<ToolFormat, places>& table() {
  static const std::array<ToolFormat, places> kTable{{
      {"hermes",
       "<tool_call>{\"name\", \"arguments\"}</tool_call>: Hermes, Qwen",
       {kTags},
       false,
       "<tool_call>\n",
       "\n</tool_call>\n<tool_call>\n",
       "\n</tool_call>",
       "arguments",
       "<tool_call>",
       ""},
      {"llama3",
       "{\"name\", \"parameters\"}, bare or behind <|python_tag|>: Llama 3",
       {{"<|python_tag|>", ""}},
       true,
       "",
       "; ",
       "",
       "parameters",
       "",
       "{["},
      {"mistral",
       "[TOOL_CALLS] and a list: Mistral",
       {{"[TOOL_CALLS]", ""}},
       false,
       "[TOOL_CALLS] [",
       ", ",
       "]",
       "arguments",
       "[TOOL_CALLS]",
       ""},
      {"gemma",
       "JSON in a ```tool_code fence: Gemma",
       {kCodeFence, kCallFence, kJsonFence},
       true,
       "```tool_code\n",
       "\n```\n```tool_code\n",
       "\n```",
       "arguments",
       "```tool_code",
       ""},
      {"json",
       "a JSON list of calls, or one call",
       {kTags, kJsonFence, kCallFence, kCodeFence},
       true,
       "[",
       ", ",
       "]",
       "arguments",
       "",
       "{["},
      {"generic",
       "asked for as hermes, understood in every spelling but Mistral's",
       {kTags, kJsonFence, kCallFence, kCodeFence},
       true,
       "<tool_call>\n",
       "\n</tool_call>\n<tool_call>\n",
       "\n</tool_call>",
       "arguments",
       "<tool_call>",
       ""},
  }};
  return kTable;
}

}  // namespace

std::span<const ToolFormat> tool_formats() {
  return table();
}

const ToolFormat* find_tool_format(std::string_view name) {
  const auto found = std::ranges::find(table(), name, &ToolFormat::name);
  return found == table().end() ? nullptr : &*found;
}

const ToolFormat& tool_format_of(const ChatTemplate& chat_template) {
  const auto has = [&](std::string_view marker) {
    return chat_template.source().find(marker) != std::string_view::npos;
  };
  if (!chat_template.mentions("tools")) return table()[generic];
  if (has("[TOOL_CALLS]")) return table()[mistral];
  if (has("<tool_call>")) return table()[hermes];
  if (has("<|python_tag|>") || has("Environment: ipython")) return table()[llama3];
  if (has("tool_code")) return table()[gemma];
  return table()[json];
}

}  // namespace troupe::gateway
