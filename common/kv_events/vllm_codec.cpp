#include "common/kv_events/vllm_codec.hpp"

#include <bit>
#include <cstring>

#include <nlohmann/json.hpp>

#include "common/base/hash.hpp"

namespace troupe::kv_events {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kStored = "BlockStored", kRemoved = "BlockRemoved", kCleared = "AllBlocksCleared";
constexpr std::size_t kMaxDepth = 8;  // batch, events, event, lists, and room for fields of the future

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
  return Json::array({kStored, hashes_of(e.blocks), e.parent ? hash_of(*e.parent) : Json(), e.tokens, e.block_size,
                      Json(), medium_of(e.tier)});
}
Json to_json(const BlocksRemoved& e) {
  return Json::array({kRemoved, hashes_of(e.blocks), medium_of(e.tier)});
}
Json to_json(const AllCleared&) {
  return Json::array({kCleared});
}

// ---- reading ----

/// Looks at the shape before anything is built: the parser recurses with every level.
class DepthCheck final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kMaxDepth; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  std::size_t depth_ = 0;
};

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::wire_malformed, "KV events: " + std::string(what));
}

/// Field of an event or batch: by place in an array, by name in a map; null when it is absent.
const Json& field(const Json& from, std::size_t place, const char* name) {
  static const Json kNull;
  if (from.is_array()) return place < from.size() ? from[place] : kNull;
  const auto at = from.find(name);
  return at == from.end() ? kNull : *at;
}

std::optional<BlockKey> read_hash(const Json& hash) {
  // Python's int hashes come signed or not; a key of theirs keeps its high half free.
  if (hash.is_number_unsigned()) return BlockKey{0, hash.get<std::uint64_t>()};
  if (hash.is_number_integer()) return BlockKey{0, std::bit_cast<std::uint64_t>(hash.get<std::int64_t>())};
  if (!hash.is_binary()) return std::nullopt;
  const auto& bytes = hash.get_binary();
  if (bytes.size() != 16) return Hasher().bytes(std::as_bytes(std::span(bytes))).finish<BlockKey>();
  BlockKey key;
  for (std::size_t i = 0; i < 8; ++i) {
    key.high = key.high << 8 | bytes[i];
    key.low = key.low << 8 | bytes[8 + i];
  }
  return key;
}

Expected<std::vector<BlockKey>> read_hashes(const Json& list) {
  if (!list.is_array()) return malformed("block hashes are no list");
  std::vector<BlockKey> keys;
  keys.reserve(list.size());
  for (const Json& entry : list) {
    const auto key = read_hash(entry);
    if (!key) return malformed("a block hash is neither a number nor bytes");
    keys.push_back(*key);
  }
  return keys;
}

Tier read_tier(const Json& medium) {
  if (!medium.is_string()) return Tier::memory;  // absent or nil: the only one the publisher has
  const auto& name = medium.get_ref<const std::string&>();
  return name == "DISK" || name == "FS" || name == "STORAGE" || name == "OBJ" ? Tier::disk : Tier::memory;
}

Expected<Event> read_stored(const Json& from) {
  BlocksStored event;
  auto blocks = read_hashes(field(from, 1, "block_hashes"));
  if (!blocks) return tl::unexpected<Error>(blocks.error());
  event.blocks = std::move(*blocks);
  const Json& parent = field(from, 2, "parent_block_hash");
  if (!parent.is_null() && !(event.parent = read_hash(parent))) return malformed("a parent hash is no hash");
  const Json& size = field(from, 4, "block_size");
  if (!size.is_number_unsigned() || size.get<std::uint64_t>() == 0 || size.get<std::uint64_t>() > 65536)
    return malformed("a block size is not 1 to 65536");
  event.block_size = size.get<std::uint32_t>();
  const Json& tokens = field(from, 3, "token_ids");
  if (!tokens.is_array()) return malformed("token ids are no list");
  event.tokens.reserve(tokens.size());
  for (const Json& token : tokens) {
    if (!token.is_number_integer() || token.get<std::int64_t>() < 0 || token.get<std::int64_t>() > INT32_MAX)
      return malformed("a token id is not 0 to 2147483647");
    event.tokens.push_back(token.get<TokenId>());
  }
  event.tier = read_tier(field(from, 6, "medium"));
  return event;
}

Expected<Event> read_event(const Json& from) {
  if (!from.is_array() && !from.is_object()) return malformed("an event is neither an array nor a map");
  const Json& tag = field(from, 0, "type");
  if (!tag.is_string()) return malformed("an event has no type");
  const auto& type = tag.get_ref<const std::string&>();
  if (type == kStored) return read_stored(from);
  if (type == kCleared) return AllCleared{};
  if (type != kRemoved) return malformed("unknown event \"" + type.substr(0, 40) + "\"");
  auto blocks = read_hashes(field(from, 1, "block_hashes"));
  if (!blocks) return tl::unexpected<Error>(blocks.error());
  return BlocksRemoved{std::move(*blocks), read_tier(field(from, 2, "medium"))};
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
  DepthCheck check;
  if (!Json::sax_parse(payload.begin(), payload.end(), &check, Json::input_format_t::msgpack))
    return malformed("no msgpack, or too deep");
  const Json json = Json::from_msgpack(payload.begin(), payload.end(), true, false);
  if (!json.is_array() && !json.is_object()) return malformed("a batch is neither an array nor a map");
  EventBatch batch;
  const Json& timestamp = field(json, 0, "ts");
  if (!timestamp.is_number()) return malformed("a batch has no timestamp");
  batch.timestamp = timestamp.get<double>();
  const Json& events = field(json, 1, "events");
  if (!events.is_array()) return malformed("a batch has no events");
  for (const Json& entry : events) {
    auto event = read_event(entry);
    if (!event) return tl::unexpected<Error>(event.error());
    batch.events.push_back(std::move(*event));
  }
  const Json& rank = field(json, 2, "data_parallel_rank");
  if (rank.is_number_unsigned()) batch.rank = static_cast<std::uint32_t>(rank.get<std::uint64_t>());
  return batch;
}

}  // namespace troupe::kv_events
