// Whatever bytes arrive as KV events: refused with an error or read, and what was read encodes to bytes that
// read the same again.
#include <cstdlib>

#include "common/kv_events/vllm_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace troupe::kv_events;
  const auto batch = decode({data, size});
  if (!batch) return 0;
  const auto bytes = encode(*batch);
  const auto again = decode(bytes);
  if (bytes.size() <= kMaxPayload && (!again || encode(*again) != bytes)) std::abort();
  return 0;
}
