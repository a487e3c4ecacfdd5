#include "services/gateway/responses/schema.hpp"

#include <algorithm>
#include <array>

namespace troupe::gateway::responses {
namespace {

using enum Policy;
constexpr double kMaxInt = 2147483647.0;
constexpr Endpoints kItem = kMessage | kCall | kCallOutput | kReasoningItem | kReference;

constexpr std::array kFields{
    // What is answered
    Field{"model", kResponse, kString},
    Field{"input", kResponse, kString | kArray},
    Field{"instructions", kResponse, kString},
    Field{"previous_response_id", kResponse, kString},

    // How
    Field{"max_output_tokens", kResponse, kInteger, used, 1, kMaxInt},
    Field{"temperature", kResponse, kNumber, used, 0, 2},
    Field{"top_p", kResponse, kNumber, used, 0, 1},
    Field{"text", kResponse, kObject},
    Field{"format", kText, kObject},
    Field{"verbosity", kText, kString, only_default, 0, 0, R"("medium")"},
    Field{"type", kTextFormat | kTool | kToolChoice, kString},
    Field{"name", kTextFormat, kString},
    Field{"description", kTextFormat, kString, ignored},
    Field{"schema", kTextFormat, kObject},
    Field{"strict", kTextFormat, kBoolean},
    Field{"reasoning", kResponse, kObject},
    Field{"effort", kReasoning, kString},
    Field{"summary", kReasoning, kString, ignored},
    Field{"generate_summary", kReasoning, kString, ignored},
    Field{"context", kReasoning, kString, ignored},
    Field{"mode", kReasoning, kString, only_default, 0, 0, R"("standard")"},
    Field{"truncation", kResponse, kString, only_default, 0, 0, R"("disabled")"},

    // Tools
    Field{"tools", kResponse, kArray},
    Field{"tool_choice", kResponse, kString | kObject},
    Field{"parallel_tool_calls", kResponse, kBoolean},
    Field{"name", kTool | kToolChoice, kString},
    Field{"description", kTool, kString},
    Field{"parameters", kTool, kObject},
    Field{"strict", kTool, kBoolean},
    Field{"allowed_callers", kTool, kArray, only_default, 0, 0, R"(["direct"])"},
    Field{"defer_loading", kTool, kBoolean, only_default, 0, 0, "false"},
    Field{"async", kTool, kBoolean, only_default, 0, 0, "false"},
    Field{"output_schema", kTool, kObject, ignored},
    Field{"mode", kToolChoice, kString},
    Field{"tools", kToolChoice, kArray},

    // What is reported and kept
    Field{"stream", kResponse, kBoolean},
    Field{"stream_options", kResponse, kObject},
    Field{"include_obfuscation", kStreamOptions, kBoolean, ignored},
    Field{"include", kResponse, kArray},
    Field{"top_logprobs", kResponse, kInteger, used, 0, 20},
    Field{"store", kResponse, kBoolean},
    Field{"metadata", kResponse, kObject},
    Field{"user", kResponse, kString},
    Field{"prompt_cache_key", kResponse, kString},
    Field{"safety_identifier", kResponse, kString},

    // Accepted and without influence on the answer
    Field{"service_tier", kResponse, kString, ignored},
    Field{"max_tool_calls", kResponse, kInteger, ignored},
    Field{"prompt_cache_retention", kResponse, kString, ignored},
    Field{"prompt_cache_options", kResponse, kObject, ignored},
    Field{"background_options", kResponse, kObject, ignored},
    Field{"access_programs", kResponse, kObject, ignored},
    Field{"image", kResponse, kObject, ignored},

    // Would change the answer and is not done
    Field{"background", kResponse, kBoolean, only_default, 0, 0, "false"},
    Field{"conversation", kResponse, kString | kObject, only_default},
    Field{"prompt", kResponse, kObject, only_default},
    Field{"context_management", kResponse, kArray, only_default},
    Field{"moderation", kResponse, kObject, only_default},

    // Items of the input
    Field{"type", kItem | kTextPart, kString},
    Field{"id", kItem, kString},
    Field{"status", kItem, kString},
    Field{"role", kMessage, kString},
    Field{"content", kMessage, kString | kArray},
    Field{"phase", kMessage, kString, ignored},
    Field{"text", kTextPart, kString},
    Field{"refusal", kTextPart, kString},
    Field{"annotations", kTextPart, kArray, ignored},
    Field{"logprobs", kTextPart, kArray, ignored},
    Field{"parsed", kTextPart, kString | kObject | kArray | kNumber | kBoolean, ignored},
    Field{"prompt_cache_breakpoint", kTextPart, kObject, ignored},
    Field{"call_id", kCall | kCallOutput, kString},
    Field{"name", kCall | kCallOutput, kString},
    Field{"arguments", kCall, kString},
    Field{"parsed_arguments", kCall, kString | kObject | kArray | kNumber | kBoolean, ignored},
    Field{"namespace", kCall | kCallOutput, kString, only_default},
    Field{"async", kCall, kBoolean, only_default, 0, 0, "false"},
    Field{"caller", kCall | kCallOutput, kObject, ignored},
    Field{"created_by", kItem, kString, ignored},
    Field{"output", kCallOutput, kString | kArray},
    Field{"summary", kReasoningItem, kArray},
    Field{"content", kReasoningItem, kArray},
    Field{"encrypted_content", kReasoningItem, kString, ignored},
};

/// Fields of a chat that have another name here, or none.
constexpr std::array<std::string_view, 18> kNotHere{"messages",
                                                    "n",
                                                    "max_tokens",
                                                    "max_completion_tokens",
                                                    "logprobs",
                                                    "response_format",
                                                    "functions",
                                                    "function_call",
                                                    "reasoning_effort",
                                                    "verbosity",
                                                    "modalities",
                                                    "audio",
                                                    "web_search_options",
                                                    "prediction",
                                                    "best_of",
                                                    "suffix",
                                                    "echo",
                                                    "add_generation_prompt"};

}  // namespace

std::span<const Field> fields() {
  return kFields;
}

Parsed<void> check(const Json& object, Endpoints where, std::string_view path) {
  return check_fields(kFields, object, where, path);
}

bool is_own_field(std::string_view name) {
  return std::ranges::any_of(
      kFields, [&](const Field& field) { return (field.where & kResponse) != 0 && field.name == name; });
}

bool is_chat_field(std::string_view name) {
  return !is_own_field(name) && has_field(name, kChat) && std::ranges::find(kNotHere, name) == kNotHere.end();
}

}  // namespace troupe::gateway::responses
