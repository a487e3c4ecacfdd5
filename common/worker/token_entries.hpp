#pragma once
// Generated tokens as wire entries, and entries as messages that stay below the control plane's size.
#include <vector>

#include "common/sampling/params.hpp"
#include "common/wire/messages.hpp"

namespace troupe::worker {

[[nodiscard]] wire::WireToken to_wire(const GeneratedToken& token);
[[nodiscard]] GeneratedToken from_wire(const wire::WireToken& token);

/// Splits an entry whose tokens or echoed prompt are too many for one message: the echo goes first, in parts;
/// `finish` and `error` stay with the last part.
[[nodiscard]] std::vector<wire::Tokens::Entry> split_entry(wire::Tokens::Entry entry, std::size_t most_bytes);
/// Bytes an entry takes on the wire.
[[nodiscard]] std::size_t entry_bytes(const wire::Tokens::Entry& entry);

}  // namespace troupe::worker
