// Whatever bytes arrive as an envelope or a data frame's header: refused with an error or read, and what was read encodes to
// bytes that read the same again.
#include <cstdlib>

#include "common/transport/frame_header.hpp"
#include "common/wire/frame.hpp"
#include "common/wire/messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  (void)wire::from_bytes({data, size});
  if (size < 2) return 0;
  // Past the checksum, which random bytes never pass.
  wire::Envelope envelope;
  std::memcpy(&envelope.type, data, 2);
  envelope.payload.assign(data + 2, data + size);
  (void)identify_frame(envelope, size);
  const auto once = wire::recode(envelope);
  if (!once) return 0;
  const auto twice = wire::recode(wire::Envelope{envelope.type, envelope.epoch, *once});
  if (!twice || *twice != *once) std::abort();
  return 0;
}
