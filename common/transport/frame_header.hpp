#pragma once
// What both planes read from a data frame's header: the request it belongs to, its number and its checksum.
#include "common/wire/messages.hpp"

namespace troupe {

struct FrameIdentity {
  RequestId request;
  Epoch epoch;
  std::uint32_t frame = 0;
  std::uint64_t checksum = 0;
  LeaseId lease;  ///< of a KvFrame; 0 of a PromptFrame
};

/// Errors: wire_malformed when the envelope is neither a KvFrame nor a PromptFrame, or its payload length is not what the
/// header says.
[[nodiscard]] Expected<FrameIdentity> identify_frame(const wire::Envelope& header, std::size_t payload_bytes);
/// The same of a frame whose payload is not at hand.
[[nodiscard]] Expected<FrameIdentity> identify_header(const wire::Envelope& header);

}  // namespace troupe
