#pragma once
// An Envelope as one run of bytes, for transports that carry bytes: u64 checksum | u16 type | u32 epoch |
// payload.
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/hash.hpp"
#include "common/wire/codec.hpp"

namespace troupe::wire {

inline constexpr std::size_t kEnvelopeHeaderBytes = 14;

/// XXH3-64 of everything an envelope says and of who says it: a message that a wire or a peer damaged must
/// not become another valid one. Not a signature.
[[nodiscard]] inline std::uint64_t checksum(const Envelope& envelope, std::string_view sender = {}) {
  const auto hash = [](const auto& bytes) { return xxh3_64(std::as_bytes(std::span(bytes))); };
  const std::array<std::uint64_t, 4> parts = {envelope.type, envelope.epoch.value, hash(envelope.payload),
                                              hash(sender)};
  return hash(parts);
}

[[nodiscard]] inline std::vector<std::uint8_t> to_bytes(const Envelope& envelope) {
  std::vector<std::uint8_t> bytes(kEnvelopeHeaderBytes + envelope.payload.size());
  const std::uint64_t sum = checksum(envelope);
  std::memcpy(bytes.data(), &sum, 8);
  std::memcpy(bytes.data() + 8, &envelope.type, 2);
  std::memcpy(bytes.data() + 10, &envelope.epoch.value, 4);
  if (!envelope.payload.empty())
    std::memcpy(bytes.data() + kEnvelopeHeaderBytes, envelope.payload.data(), envelope.payload.size());
  return bytes;
}

/// Errors: wire_malformed when shorter than the header or when the checksum is another's.
[[nodiscard]] inline Expected<Envelope> from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kEnvelopeHeaderBytes) return fail(Errc::wire_malformed, "an envelope is cut short");
  Envelope envelope;
  std::uint64_t sum = 0;
  std::memcpy(&sum, bytes.data(), 8);
  std::memcpy(&envelope.type, bytes.data() + 8, 2);
  std::memcpy(&envelope.epoch.value, bytes.data() + 10, 4);
  const auto payload = bytes.subspan(kEnvelopeHeaderBytes);
  envelope.payload.assign(payload.begin(), payload.end());
  if (sum != checksum(envelope)) return fail(Errc::wire_malformed, "an envelope's checksum does not match");
  return envelope;
}

}  // namespace troupe::wire
