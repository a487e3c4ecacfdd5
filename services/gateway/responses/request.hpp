#pragma once
// The body of /v1/responses: what it asks of a chat, and what its answer repeats of it.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/gateway/generate_request.hpp"
#include "services/gateway/responses/items.hpp"

namespace troupe::gateway::responses {

/// What the answer needs to know of its request.
struct Settings {
  Json echo = Json::object();  ///< fields of the Response object that repeat the request
  bool store = true;
  bool logprobs = false;
  Json input = Json::array();    ///< items of this request, references replaced
  Json history = Json::array();  ///< items before them
};

/// A body that was read as far as nothing stored is needed.
struct ResponseRequest {
  Json chat = Json::object();  ///< fields of a chat, without its messages
  std::optional<std::string> instructions;
  std::optional<std::vector<std::string>> allowed_tools;  ///< the only ones that may be called
  std::optional<RequestId> previous;                      ///< the response that it goes on from
  std::vector<RequestId> referred;                        ///< responses whose items it refers to
  Settings settings;
};

/// Responses that one request may refer to.
inline constexpr std::size_t kMostReferred = 32;

/// `id` will be the response's. Errors: as the chat parser's, with this API's paths.
[[nodiscard]] Parsed<ResponseRequest> read_request(const Json& body, const RequestId& id);

/// A stored response (writer.hpp) by its id; nullptr: there is none.
using FindStored = std::function<const Json*(const RequestId&)>;

/// The chat that asks the same. The settings get the conversation. Errors: a previous response or an item
/// that is not stored; those of the chat parser, renamed.
[[nodiscard]] Parsed<GenerateRequest> to_chat(ResponseRequest& request, const FindStored& stored,
                                              const RequestLimits& limits);

/// An error of a chat in the words of this API: "messages" is "input".
[[nodiscard]] ApiError renamed(ApiError error);

}  // namespace troupe::gateway::responses
