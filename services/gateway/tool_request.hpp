#pragma once
// The tools of a chat request: which there are, and which of them the answer calls.
#include <cstdint>
#include <string>
#include <vector>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

struct Tool {
  std::string name;
  Json parameters;  ///< a schema of an object
  bool strict = false;
};

enum class ToolChoice : std::uint8_t {
  none,       ///< no call; the model is not told of tools
  automatic,  ///< as the model likes
  required,   ///< calls, and nothing else
  named,      ///< one call of one tool
};

struct ToolRequest {
  std::vector<Tool> tools;
  ToolChoice choice = ToolChoice::none;
  std::string name;            ///< of the named one
  bool parallel = true;        ///< more than one call in an answer
  Json shown = Json::array();  ///< to the template, as the client wrote them

  [[nodiscard]] bool forced() const { return choice == ToolChoice::required || choice == ToolChoice::named; }
  /// A call has to follow a schema. What a model is free to call without `strict` may be anything.
  [[nodiscard]] bool constrained() const;
};

/// At most this many tools.
inline constexpr std::size_t kMostTools = 128;

/// tools, tool_choice, parallel_tool_calls of a request. Schemas that an answer has to follow compile.
/// Errors: invalid_type, invalid_value, missing_required_parameter, unknown_parameter, unsupported_parameter,
/// with the field's path; a schema's keyword with its JSON pointer.
[[nodiscard]] Parsed<ToolRequest> read_tools(const Json& object);

}  // namespace troupe::gateway
