#include "common/kv_events/vllm_codec.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "common/base/hash.hpp"
#include "common/kv_events/msgpack_reader.hpp"

namespace troupe::kv_events {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kStored = "BlockStored", kRemoved = "BlockRemoved", kCleared = "AllBlocksCleared";

// ---- writing ----

Json hash_of(const BlockKey& key) {
  std::vector<std::uint8_t> bytes(16);
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(key.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(key.low >> (56 - 8 * i));
  }
  return Json::binary(std::move(bytes));
}
Json hashes_of(const std::vector<BlockKey>& keys) {
  Json out = Json::array();
  for (const BlockKey& key : keys) out.push_back(hash_of(key));
  return out;
}
const char* medium_of(Tier tier) {
  return tier == Tier::disk ? "DISK" : "CPU";
}
Json to_json(const BlocksStored& e) {
  return Json::array({kStored, hashes_of(e.blocks), e.parent ? hash_of(*e.parent) : Json(), e.tokens,
                      e.block_size, Json(), medium_of(e.tier)});
}
Json to_json(const BlocksRemoved& e) {
  return Json::array({kRemoved, hashes_of(e.blocks), medium_of(e.tier)});
}
Json to_json(const AllCleared&) {
  return Json::array({kCleared});
}

// ---- reading ----

using Kind = MsgpackKind;

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::wire_malformed, "KV events: " + std::string(what));
}

/// The fields of an array, by place, or of a map, by name: where each begins. Fields of the future are passed
/// over.
template <std::size_t N>
class Fields {
 public:
  /// Reads the container that begins here, and leaves `reader` behind it. false: there is none, or it is
  /// malformed.
  [[nodiscard]] bool locate(MsgpackReader& reader, const std::array<std::string_view, N>& names) {
    MsgpackItem from;
    if (!reader.next(from) || (from.kind != Kind::array && from.kind != Kind::map)) return false;
    for (std::uint64_t i = 0; i < from.number; ++i) {
      std::size_t field = i < N ? static_cast<std::size_t>(i) : N;
      if (from.kind == Kind::map) {
        MsgpackItem key;
        if (!reader.next(key) || key.kind != Kind::text) return false;
        field = static_cast<std::size_t>(std::ranges::find(names, key.text()) - names.begin());
      }
      if (field < N) at_[field] = reader.offset();
      // The batch, its events and an event are three levels, of which the caller has come so far.
      if (!reader.skip(MsgpackReader::kMaxDepth - 1)) return false;
    }
    return true;
  }
  /// The item there; nil where it is absent. `reader` goes on behind its head.
  [[nodiscard]] MsgpackItem read(MsgpackReader& reader, std::span<const std::uint8_t> payload,
                                 std::size_t field) const {
    MsgpackItem item;
    if (!at_[field]) return item;
    reader = MsgpackReader(payload, *at_[field]);
    return reader.next(item) ? item : MsgpackItem{};
  }

 private:
  std::array<std::optional<std::size_t>, N> at_{};
};

constexpr std::array<std::string_view, 3> kBatchFields{"ts", "events", "data_parallel_rank"};
constexpr std::array<std::string_view, 7> kStoredFields{
    "type", "block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium"};
constexpr std::array<std::string_view, 3> kRemovedFields{"type", "block_hashes", "medium"};

std::optional<BlockKey> read_hash(const MsgpackItem& hash) {
  // Python's int hashes come signed or not; a key of theirs keeps its high half free.
  if (hash.kind == Kind::integer) return BlockKey{0, hash.number};
  if (hash.kind != Kind::bytes) return std::nullopt;
  if (hash.data.size() != 16) return Hasher().bytes(std::as_bytes(hash.data)).finish<BlockKey>();
  BlockKey key;
  for (std::size_t i = 0; i < 8; ++i) {
    key.high = key.high << 8 | hash.data[i];
    key.low = key.low << 8 | hash.data[8 + i];
  }
  return key;
}

/// `list` is the head that was read; its items follow.
Expected<std::vector<BlockKey>> read_hashes(const MsgpackItem& list, MsgpackReader& reader) {
  if (list.kind != Kind::array) return malformed("block hashes are no list");
  std::vector<BlockKey> keys;
  keys.reserve(std::min<std::size_t>(list.number, reader.left()));
  for (std::uint64_t i = 0; i < list.number; ++i) {
    MsgpackItem entry;
    const auto key = reader.next(entry) ? read_hash(entry) : std::nullopt;
    if (!key) return malformed("a block hash is neither a number nor bytes");
    keys.push_back(*key);
  }
  return keys;
}

Expected<std::vector<TokenId>> read_tokens(const MsgpackItem& list, MsgpackReader& reader) {
  if (list.kind != Kind::array) return malformed("token ids are no list");
  std::vector<TokenId> tokens;
  tokens.reserve(std::min<std::size_t>(list.number, reader.left()));
  for (std::uint64_t i = 0; i < list.number; ++i) {
    MsgpackItem token;
    if (!reader.next(token) || !token.is_unsigned() || token.number > INT32_MAX)
      return malformed("a token id is not 0 to 2147483647");
    tokens.push_back(static_cast<TokenId>(token.number));
  }
  return tokens;
}

Tier tier_of(const MsgpackItem& medium) {
  if (medium.kind != Kind::text) return Tier::memory;  // absent or nil: the only one the publisher has
  const std::string_view name = medium.text();
  return name == "DISK" || name == "FS" || name == "STORAGE" || name == "OBJ" ? Tier::disk : Tier::memory;
}

Expected<Event> read_stored(MsgpackReader reader, std::span<const std::uint8_t> payload) {
  Fields<kStoredFields.size()> fields;
  if (!fields.locate(reader, kStoredFields)) return malformed("an event is cut off");
  BlocksStored event;
  auto blocks = read_hashes(fields.read(reader, payload, 1), reader);
  if (!blocks) return tl::unexpected<Error>(blocks.error());
  event.blocks = std::move(*blocks);
  const MsgpackItem parent = fields.read(reader, payload, 2);
  if (parent.kind != Kind::nil && !(event.parent = read_hash(parent)))
    return malformed("a parent hash is no hash");
  const MsgpackItem size = fields.read(reader, payload, 4);
  if (!size.is_unsigned() || size.number == 0 || size.number > 65536)
    return malformed("a block size is not 1 to 65536");
  event.block_size = static_cast<std::uint32_t>(size.number);
  auto tokens = read_tokens(fields.read(reader, payload, 3), reader);
  if (!tokens) return tl::unexpected<Error>(tokens.error());
  event.tokens = std::move(*tokens);
  event.tier = tier_of(fields.read(reader, payload, 6));
  return event;
}

/// The event that begins here; `reader` goes on behind it.
Expected<Event> read_event(MsgpackReader& reader, std::span<const std::uint8_t> payload) {
  const MsgpackReader begin = reader;
  Fields<kRemovedFields.size()> fields;
  if (!fields.locate(reader, kRemovedFields)) return malformed("an event is neither an array nor a map");
  MsgpackReader within = reader;
  const MsgpackItem tag = fields.read(within, payload, 0);
  if (tag.kind != Kind::text) return malformed("an event has no type");
  const std::string_view type = tag.text();
  if (type == kStored) return read_stored(begin, payload);
  if (type == kCleared) return AllCleared{};
  if (type != kRemoved) return malformed("unknown event \"" + std::string(type.substr(0, 40)) + "\"");
  auto blocks = read_hashes(fields.read(within, payload, 1), within);
  if (!blocks) return tl::unexpected<Error>(blocks.error());
  return BlocksRemoved{std::move(*blocks), tier_of(fields.read(within, payload, 2))};
}

}  // namespace

std::vector<std::uint8_t> encode(const EventBatch& batch) {
  Json events = Json::array();
  for (const Event& event : batch.events)
    std::visit([&](const auto& e) { events.push_back(to_json(e)); }, event);
  Json out = Json::array({batch.timestamp, std::move(events)});
  if (batch.rank) out.push_back(*batch.rank);
  return Json::to_msgpack(out);
}

Expected<EventBatch> decode(std::span<const std::uint8_t> payload) {
  if (payload.size() > kMaxPayload)
    return malformed(std::to_string(payload.size()) + " bytes, at most " + std::to_string(kMaxPayload));
  MsgpackReader reader(payload);
  Fields<kBatchFields.size()> fields;
  if (!fields.locate(reader, kBatchFields) || reader.left() != 0)
    return malformed("no msgpack, too deep, or no batch");
  EventBatch batch;
  const MsgpackItem timestamp = fields.read(reader, payload, 0);
  if (timestamp.kind == Kind::real)
    batch.timestamp = timestamp.real;
  else if (timestamp.kind == Kind::integer)
    batch.timestamp = timestamp.negative ? static_cast<double>(static_cast<std::int64_t>(timestamp.number))
                                         : static_cast<double>(timestamp.number);
  else
    return malformed("a batch has no timestamp");
  const MsgpackItem events = fields.read(reader, payload, 1);
  if (events.kind != Kind::array) return malformed("a batch has no events");
  for (std::uint64_t i = 0; i < events.number; ++i) {
    auto event = read_event(reader, payload);
    if (!event) return tl::unexpected<Error>(event.error());
    batch.events.push_back(std::move(*event));
  }
  const MsgpackItem rank = fields.read(reader, payload, 2);
  if (rank.is_unsigned()) batch.rank = static_cast<std::uint32_t>(rank.number);
  return batch;
}

}  // namespace troupe::kv_events
