#include "common/transport/frame_header.hpp"

#include "common/base/hash.hpp"
#include "common/transport/data_plane.hpp"

namespace troupe {

Expected<FrameIdentity> identify_frame(const wire::Envelope& header, std::size_t payload_bytes) {
  std::size_t expected = 0;
  FrameIdentity identity;
  if (header.type == wire::KvFrame::kNumber) {
    const auto frame = wire::unpack<wire::KvFrame>(header);
    TROUPE_TRY(frame);
    expected = std::size_t{frame->layers} * frame->pages.size() * frame->layer_page_bytes;
    identity = {frame->request, frame->epoch, frame->frame, frame->checksum, frame->lease};
  } else if (header.type == wire::PromptFrame::kNumber) {
    const auto frame = wire::unpack<wire::PromptFrame>(header);
    TROUPE_TRY(frame);
    expected = std::size_t{frame->tokens} * sizeof(TokenId);
    identity = {frame->request, frame->epoch, frame->frame, frame->checksum, {}};
  } else {
    return fail(Errc::wire_malformed, "message " + std::to_string(header.type) + " is no data frame");
  }
  if (expected != payload_bytes) {
    return fail(Errc::wire_malformed, "a frame's payload has " + std::to_string(payload_bytes) + " bytes, its header says " +
                                          std::to_string(expected));
  }
  return identity;
}

std::uint64_t frame_checksum(std::span<const std::uint8_t> payload) { return xxh3_64(std::as_bytes(payload)); }

}  // namespace troupe
