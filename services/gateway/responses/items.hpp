#pragma once
// Items: what a conversation consists of. From what clients send to one form, and from there to the messages
// of a chat.
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::responses {

inline constexpr std::string_view kIdPrefix = "resp_";

/// "resp_" and 32 hex digits.
[[nodiscard]] std::string response_id(const RequestId& id);
[[nodiscard]] std::optional<RequestId> id_of_response(std::string_view text);

/// Items of a response are named after it, so that a reference leads to it: "msg_<32 hex digits>o2" is the
/// third of its output, "...i2" of its input.
[[nodiscard]] std::string item_id(std::string_view prefix, const RequestId& response, bool output,
                                  std::size_t index);
/// The response that made an item's name; nothing for a name that is not of this form.
[[nodiscard]] std::optional<RequestId> response_of_item(std::string_view item);

/// `input` of a request as an array of items with ids: `message` with parts (input_text; output_text and
/// refusal of the assistant), `function_call`, `function_call_output` with a text, `reasoning`,
/// `item_reference`. `response` names what has no id. Errors: as the request parsers', with paths such as
/// "input[2].content[0].type".
[[nodiscard]] Parsed<Json> read_items(const Json& input, const RequestId& response);

/// The messages of a chat that say the same: instructions first, calls that stand together in one message of
/// the assistant's, results as `tool` messages; reasoning is left out. `known` items were read before;
/// `added` are those of this request, references replaced. Errors: invalid_value for a result whose call does
/// not stand before it, with the place in `added` as input[...].
[[nodiscard]] Parsed<Json> to_messages(const std::optional<std::string>& instructions, const Json& known,
                                       const Json& added);

}  // namespace troupe::gateway::responses
