#pragma once
// Every message between processes.
#include "common/wire/cache_messages.hpp"
#include "common/wire/embedding_messages.hpp"
#include "common/wire/generation_messages.hpp"
#include "common/wire/membership_messages.hpp"
#include "common/wire/message.hpp"
#include "common/wire/operation_messages.hpp"
#include "common/wire/placement_messages.hpp"
#include "common/wire/transfer_messages.hpp"

namespace troupe {
namespace wire {

/// Name of a message number; "unknown" outside message_ids.def.
[[nodiscard]] std::string_view message_name(std::uint16_t number);

/// Decodes and encodes again, whatever the message: the fuzzer's and the golden files' entry. Errors: wire_malformed, wire_version.
[[nodiscard]] Expected<std::vector<std::uint8_t>> recode(const Envelope& envelope);

}  // namespace wire
}  // namespace troupe
