#pragma once
// A prompt's first token, drawn where the prompt is computed: what the worker that owns the stream asks the
// prefill worker by, and how the latter draws what the former would have drawn.
#include <cstdint>
#include <optional>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/wire/messages.hpp"

namespace troupe::worker {

/// What an order says of the answer; the prompt, and what does not change a draw, aside.
[[nodiscard]] engine::Request request_of(const wire::Generate& order);

/// For PrefillRequest::order. Empty: the first token is drawn by the stream's own worker, which alone keeps
/// what the draw needs (several choices, a beam search, superposed drafts, a grammar's state), or nothing is drawn.
[[nodiscard]] std::vector<std::uint8_t> order_for_first(const wire::Generate& order);

/// Tokens of the prompt that comes with the request.
[[nodiscard]] std::uint32_t prompt_tokens(const wire::PrefillRequest& request);

/// The stream whose first token is to be drawn; nullopt: it is not wanted, or asks for what is not known
/// here, or the prompt leaves no room in a context of `context` tokens. The pages alone are sent then.
[[nodiscard]] std::optional<wire::Generate> stream_of(const wire::PrefillRequest& request,
                                                      std::uint32_t context);

void say_first(wire::PrefillDone& message, const wire::Generate& stream, const GeneratedToken& token);

/// How the answer stands with its first token, as Engine would have it.
[[nodiscard]] FinishReason first_finish(const wire::Generate& order, TokenId token, std::uint32_t context);

}  // namespace troupe::worker
