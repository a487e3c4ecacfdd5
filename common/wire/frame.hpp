#pragma once
// An Envelope as one run of bytes, for transports that carry bytes: u16 type | u32 epoch | payload.
#include <cstring>
#include <span>
#include <vector>

#include "common/wire/codec.hpp"

namespace troupe::wire {

inline constexpr std::size_t kEnvelopeHeaderBytes = 6;

[[nodiscard]] inline std::vector<std::uint8_t> to_bytes(const Envelope& envelope) {
  std::vector<std::uint8_t> bytes(kEnvelopeHeaderBytes + envelope.payload.size());
  std::memcpy(bytes.data(), &envelope.type, 2);
  std::memcpy(bytes.data() + 2, &envelope.epoch.value, 4);
  if (!envelope.payload.empty())
    std::memcpy(bytes.data() + kEnvelopeHeaderBytes, envelope.payload.data(), envelope.payload.size());
  return bytes;
}

/// Errors: wire_malformed when shorter than the header.
[[nodiscard]] inline Expected<Envelope> from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kEnvelopeHeaderBytes) return fail(Errc::wire_malformed, "an envelope is cut short");
  Envelope envelope;
  std::memcpy(&envelope.type, bytes.data(), 2);
  std::memcpy(&envelope.epoch.value, bytes.data() + 2, 4);
  const auto payload = bytes.subspan(kEnvelopeHeaderBytes);
  envelope.payload.assign(payload.begin(), payload.end());
  return envelope;
}

}  // namespace troupe::wire
