#include "services/gateway/anthropic/message_fields.hpp"

#include <array>

namespace troupe::gateway::anthropic {
namespace {

using enum Policy;
constexpr double kMaxInt = 2147483647.0;
constexpr Endpoints kBoth = kMessages | kCountTokens;
constexpr Endpoints kBlock = kTextBlock | kToolUse | kToolResult;

constexpr std::array kFields{
    // What is answered
    Field{"model", kBoth, kString},
    Field{"messages", kBoth, kArray},
    Field{"system", kBoth, kString | kArray},
    Field{"tools", kBoth, kArray},
    Field{"tool_choice", kBoth, kObject},
    Field{"thinking", kBoth, kObject},
    Field{"output_config", kBoth, kObject},
    Field{"output_format", kBoth, kObject},

    // How
    Field{"max_tokens", kMessages, kInteger, used, 0, kMaxInt},
    Field{"stop_sequences", kMessages, kArray},
    Field{"temperature", kMessages, kNumber, used, 0, 2},
    Field{"top_p", kMessages, kNumber, used, 0, 1},
    Field{"top_k", kMessages, kInteger, used, 0, kMaxInt},
    Field{"stream", kMessages, kBoolean},
    Field{"metadata", kMessages, kObject},
    Field{"user_id", kMetadata, kString},

    // Accepted and without influence on the answer
    Field{"service_tier", kBoth, kString, ignored},
    Field{"cache_control", kBoth | kBlock | kTool, kObject, ignored},
    Field{"context_management", kBoth, kObject, ignored},
    Field{"diagnostics", kBoth, kObject, ignored},
    Field{"inference_geo", kBoth, kString, ignored},
    Field{"speed", kBoth, kString, ignored},
    Field{"user_profile_id", kBoth, kString, ignored},

    // Would change the answer and is not done
    Field{"container", kBoth, kString | kObject, only_default},
    Field{"mcp_servers", kBoth, kArray, only_default},

    // Of a message and its blocks
    Field{"role", kMessage, kString},
    Field{"content", kMessage | kToolResult, kString | kArray},
    Field{"type", kBlock | kTool | kToolChoice | kThinking | kFormat, kString},
    Field{"text", kTextBlock, kString},
    Field{"citations", kTextBlock, kArray | kObject, ignored},
    Field{"id", kToolUse, kString},
    Field{"name", kToolUse | kTool | kToolChoice, kString},
    Field{"input", kToolUse, kObject},
    Field{"caller", kToolUse, kObject, ignored},
    Field{"tool_use_id", kToolResult, kString},
    Field{"is_error", kToolResult, kBoolean},
    Field{"toolset_name", kToolUse | kToolResult, kString, ignored},

    // Of tools
    Field{"description", kTool, kString},
    Field{"input_schema", kTool, kObject},
    Field{"strict", kTool, kBoolean},
    Field{"eager_input_streaming", kTool, kBoolean, ignored},
    Field{"input_examples", kTool, kArray, only_default},
    Field{"defer_loading", kTool, kBoolean, only_default, 0, 0, "false"},
    Field{"allowed_callers", kTool, kArray, only_default, 0, 0, R"(["direct"])"},
    Field{"disable_parallel_tool_use", kToolChoice, kBoolean},

    // Of thinking and of the answer's form
    Field{"budget_tokens", kThinking, kInteger, ignored, 0, kMaxInt},
    Field{"display", kThinking, kString},
    Field{"effort", kOutput, kString, ignored},
    Field{"format", kOutput, kObject},
    Field{"schema", kFormat, kObject},
    Field{"name", kFormat, kString, ignored},
};

}  // namespace

std::span<const Field> message_fields() {
  return kFields;
}

}  // namespace troupe::gateway::anthropic
