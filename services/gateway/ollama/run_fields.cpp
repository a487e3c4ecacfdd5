#include "services/gateway/ollama/run_fields.hpp"

#include <array>

namespace troupe::gateway::ollama {
namespace {

using enum Policy;
constexpr double kMaxInt = 2147483647.0;
constexpr Endpoints kRun = kChatRun | kGenerateRun;

constexpr std::array kFields{
    Field{"model", kRun | kNamed, kString},
    Field{"name", kNamed, kString},
    Field{"messages", kChatRun, kArray},
    Field{"tools", kChatRun, kArray},
    Field{"prompt", kGenerateRun, kString},
    Field{"system", kGenerateRun, kString},
    Field{"raw", kGenerateRun, kBoolean},
    Field{"format", kRun, kString | kObject},
    Field{"options", kRun, kObject},
    Field{"stream", kRun, kBoolean},
    Field{"think", kRun, kBoolean | kString},
    Field{"logprobs", kRun, kBoolean},
    Field{"top_logprobs", kRun, kInteger, used, 0, 20},

    // Would change the answer and is not done
    Field{"suffix", kGenerateRun, kString, only_default},
    Field{"template", kGenerateRun, kString, only_default},
    Field{"context", kGenerateRun, kArray, only_default},
    Field{"images", kGenerateRun | kRunMessage, kArray, only_default},

    // Of a message
    Field{"role", kRunMessage, kString},
    Field{"content", kRunMessage, kString},
    Field{"thinking", kRunMessage, kString},
    Field{"tool_calls", kRunMessage, kArray},
    Field{"tool_name", kRunMessage, kString},
    Field{"tool_call_id", kRunMessage, kString},
    Field{"id", kRunCall, kString},
    Field{"function", kRunCall, kObject},
    Field{"name", kRunFunction, kString},
    Field{"arguments", kRunFunction, kObject},

    // Options
    Field{"temperature", kOptions, kNumber, used, 0, 2},
    Field{"top_k", kOptions, kInteger, used, -1, kMaxInt},
    Field{"top_p", kOptions, kNumber, used, 0, 1},
    Field{"min_p", kOptions, kNumber, used, 0, 1},
    Field{"typical_p", kOptions, kNumber, used, 0, 1},
    Field{"seed", kOptions, kInteger, used, -9223372036854775808.0, 9223372036854775807.0},
    Field{"num_predict", kOptions, kInteger, used, -kMaxInt, kMaxInt},
    Field{"num_ctx", kOptions, kInteger, used, 0, kMaxInt},
    Field{"stop", kOptions, kString | kArray},
    Field{"repeat_penalty", kOptions, kNumber, used, 0.01, 100},
    Field{"repeat_last_n", kOptions, kInteger, used, -1, kMaxInt},
    Field{"presence_penalty", kOptions, kNumber, used, -2, 2},
    Field{"frequency_penalty", kOptions, kNumber, used, -2, 2},
    Field{"mirostat", kOptions, kInteger, only_default, 0, 0, "0"},
    Field{"tfs_z", kOptions, kNumber, only_default, 0, 0, "1|1.0"},
};

}  // namespace

std::span<const Field> run_fields() {
  return kFields;
}

}  // namespace troupe::gateway::ollama
