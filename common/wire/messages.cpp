#include "common/wire/messages.hpp"

#include "common/wire/draft_messages.hpp"

namespace troupe::wire {

std::string_view message_name(std::uint16_t number) {
  switch (number) {
#define X(name, value) \
  case value: return #name;
#include "common/wire/message_ids.def"
#include "common/wire/draft_message_ids.def"
#undef X
    default: return "unknown";
  }
}

namespace {
template <class M>
Expected<std::vector<std::uint8_t>> recode_as(const Envelope& envelope) {
  auto message = unpack<M>(envelope);
  if (!message) return tl::unexpected<Error>(message.error());
  return encode(*message);
}
}  // namespace

Expected<std::vector<std::uint8_t>> recode(const Envelope& envelope) {
  switch (envelope.type) {
#define X(name, value) \
  case value: return recode_as<name>(envelope);
#include "common/wire/message_ids.def"
#include "common/wire/draft_message_ids.def"
#undef X
    default: return fail(Errc::wire_malformed, "message number " + std::to_string(envelope.type) + " is not known");
  }
}

}  // namespace troupe::wire
