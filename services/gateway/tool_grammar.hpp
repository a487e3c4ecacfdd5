#pragma once
// What an answer must look like so that the calls in it are calls of the request's tools.
#include "common/grammar/source.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/tool_format.hpp"
#include "services/gateway/tool_request.hpp"

namespace troupe::gateway {

/// An answer with calls of more tools than this at once is not asked for: a small model might not find its
/// end.
inline constexpr std::uint32_t kMostCalls = 16;

/// `other`: what the answer must look like if it is no call; of kind none, json_object or json_schema unless
/// calls are forced. Kind none when nothing has to hold. Errors: invalid_value for tools that together are
/// too large.
[[nodiscard]] Parsed<grammar::Source> tool_grammar(const ToolRequest& request, const ToolFormat& format,
                                                   const grammar::Source& other);

}  // namespace troupe::gateway
