#pragma once
// The payload of vLLM's KV events, as vLLM, SGLang, Dynamo and llm-d speak it: a msgpack
// [timestamp, [event...], rank], an event being a tagged array
//
//   ["BlockStored", [hash...], parent hash or nil, [token...], block size, LoRA id, medium, ...]
//   ["BlockRemoved", [hash...], medium, ...]       ["AllBlocksCleared"]
//
// or, from newer publishers, a map of the same names with "type". Both are read, further fields are passed
// over; arrays are written, which every reader takes. A hash of 16 bytes is a block key as it is; others
// (numbers, digests of other lengths) are mapped to keys.
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/error.hpp"
#include "common/kv_events/event.hpp"

namespace troupe::kv_events {

inline constexpr std::size_t kMaxPayload = std::size_t{4} << 20;

[[nodiscard]] std::vector<std::uint8_t> encode(const EventBatch& batch);

/// Errors: wire_malformed (not msgpack, not this shape, longer than kMaxPayload, nested beyond what it needs).
[[nodiscard]] Expected<EventBatch> decode(std::span<const std::uint8_t> payload);

}  // namespace troupe::kv_events
