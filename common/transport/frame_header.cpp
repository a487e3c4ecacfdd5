#include "common/transport/frame_header.hpp"

#include "common/base/hash.hpp"
#include "common/transport/data_plane.hpp"

namespace troupe {

namespace {

struct Described {
  FrameIdentity identity;
  std::size_t payload_bytes = 0;
};

Expected<Described> describe(const wire::Envelope& header) {
  if (header.type == wire::KvFrame::kNumber) {
    const auto frame = wire::unpack<wire::KvFrame>(header);
    TROUPE_TRY(frame);
    return Described{{frame->request, frame->epoch, frame->frame, frame->checksum, frame->lease},
                     std::size_t{frame->layers} * frame->pages.size() * frame->layer_page_bytes};
  }
  if (header.type == wire::PromptFrame::kNumber) {
    const auto frame = wire::unpack<wire::PromptFrame>(header);
    TROUPE_TRY(frame);
    return Described{{frame->request, frame->epoch, frame->frame, frame->checksum, {}},
                     std::size_t{frame->tokens} * sizeof(TokenId)};
  }
  return fail(Errc::wire_malformed, "message " + std::to_string(header.type) + " is no data frame");
}

}  // namespace

Expected<FrameIdentity> identify_frame(const wire::Envelope& header, std::size_t payload_bytes) {
  const auto frame = describe(header);
  TROUPE_TRY(frame);
  if (frame->payload_bytes != payload_bytes) {
    return fail(Errc::wire_malformed, "a frame's payload has " + std::to_string(payload_bytes) + " bytes, its header says " +
                                          std::to_string(frame->payload_bytes));
  }
  return frame->identity;
}

Expected<FrameIdentity> identify_header(const wire::Envelope& header) {
  const auto frame = describe(header);
  TROUPE_TRY(frame);
  return frame->identity;
}

std::uint64_t frame_checksum(std::span<const std::uint8_t> payload) { return xxh3_64(std::as_bytes(payload)); }

}  // namespace troupe
