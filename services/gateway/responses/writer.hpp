#pragma once
// An answer as /v1/responses writes it: a Response object, or the events that build one up.
#include "services/gateway/answer_writer.hpp"
#include "services/gateway/responses/request.hpp"
#include "services/gateway/responses/store.hpp"

namespace troupe::gateway::responses {

/// Where a response is kept when its request wants that, and whose it is. What is stored is an object:
/// `owner` (32 hex digits), `response` (the Response object), `input` and `history` (items).
struct Keeper {
  ResponseStore* store = nullptr;  ///< outlives the writer; null: nothing is kept
  RequestId owner = {};
};

/// Of one choice. Whole and streamed answers go through the same steps, so they say the same; what is
/// numbered follows from the response's id. The events, in order:
///   response.created, response.in_progress
///   for each item: response.output_item.added, [content_part.added, its deltas, its done,
///   content_part.done],
///     response.output_item.done, where calls have no parts
///   response.completed or response.incomplete; on a failure `error` and response.failed
[[nodiscard]] std::unique_ptr<AnswerWriter> response_writer(AnswerHead head,
                                                            std::shared_ptr<const Settings> settings,
                                                            Keeper keeper);

}  // namespace troupe::gateway::responses
