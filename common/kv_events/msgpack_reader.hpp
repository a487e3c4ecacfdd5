#pragma once
// Reads msgpack item by item from bytes that stay where they are: nothing is built, nothing copied. What a
// document of a million numbers costs is a look at each.
//
//   array or map: count, then its items (a map's are keys and values in turn); text, bytes: a view of them
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

namespace troupe::kv_events {

enum class MsgpackKind : std::uint8_t { nil, boolean, integer, real, text, bytes, array, map };

struct MsgpackItem {
  MsgpackKind kind = MsgpackKind::nil;
  bool negative = false;               ///< of an integer: `number` is its two's complement
  std::uint64_t number = 0;            ///< of an integer; of an array or a map how many items or pairs follow
  double real = 0;                     ///< of a real
  std::span<const std::uint8_t> data;  ///< of text and bytes; an extension is the bytes it holds
  [[nodiscard]] bool is_unsigned() const { return kind == MsgpackKind::integer && !negative; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }
};

/// Bounds are checked; what an item claims to hold is not until it is read. Threads: one.
class MsgpackReader {
 public:
  static constexpr std::size_t kMaxDepth = 8;  ///< that skip() goes into

  explicit MsgpackReader(std::span<const std::uint8_t> bytes, std::size_t offset = 0)
      : bytes_(bytes), at_(offset) {}

  [[nodiscard]] std::size_t offset() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  /// false: the bytes end, or begin no item. What `item` does not use keeps no meaning.
  [[nodiscard]] bool next(MsgpackItem& item) {
    if (left() == 0) return false;
    const std::uint8_t tag = bytes_[at_++];
    if (tag < 0x80) return integer(item, tag, false);
    if (tag >= 0xE0)
      return integer(item, static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(tag)}), true);
    if (tag < 0x90) return container(item, MsgpackKind::map, tag & 0x0F);
    if (tag < 0xA0) return container(item, MsgpackKind::array, tag & 0x0F);
    if (tag < 0xC0) return view(item, MsgpackKind::text, tag & 0x1F);
    return tagged(item, tag);
  }

  /// Passes over one item with all it holds. false: it is malformed, cut off or nested deeper than `depth`.
  [[nodiscard]] bool skip(std::size_t depth = kMaxDepth) {
    std::array<std::uint64_t, kMaxDepth> open{};  // items still to come, by level
    std::size_t level = 0;
    MsgpackItem item;
    do {
      if (level > 0) --open[level - 1];
      if (!next(item)) return false;
      if (item.kind == MsgpackKind::array || item.kind == MsgpackKind::map) {
        if (level >= depth) return false;
        open[level++] = item.kind == MsgpackKind::map ? 2 * item.number : item.number;
      }
      while (level > 0 && open[level - 1] == 0) --level;
    } while (level > 0);
    return true;
  }

 private:
  static bool integer(MsgpackItem& item, std::uint64_t number, bool negative) {
    item.kind = MsgpackKind::integer;
    item.number = number;
    item.negative = negative;
    return true;
  }
  static bool container(MsgpackItem& item, MsgpackKind kind, std::uint64_t count) {
    item.kind = kind;
    item.number = count;
    return true;
  }
  bool view(MsgpackItem& item, MsgpackKind kind, std::uint64_t size) {
    if (size > left()) return false;
    item.kind = kind;
    item.data = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return true;
  }
  /// A big-endian number of `size` bytes.
  bool read(std::size_t size, std::uint64_t& value) {
    if (size > left()) return false;
    value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes_[at_ + i];
    at_ += size;
    return true;
  }
  bool sized(MsgpackItem& item, MsgpackKind kind, std::size_t width, std::size_t more = 0) {
    std::uint64_t size = 0;
    if (!read(width, size) || more > left()) return false;
    at_ += more;  // an extension's type
    return view(item, kind, size);
  }
  bool counted(MsgpackItem& item, MsgpackKind kind, std::size_t width) {
    std::uint64_t count = 0;
    return read(width, count) && container(item, kind, count);
  }
  bool signed_integer(MsgpackItem& item, std::size_t width) {
    std::uint64_t value = 0;
    if (!read(width, value)) return false;
    const unsigned unused = static_cast<unsigned>(64 - 8 * width);
    const auto number = static_cast<std::int64_t>(value << unused) >> unused;
    return integer(item, static_cast<std::uint64_t>(number), number < 0);
  }
  bool real(MsgpackItem& item, std::size_t width) {
    std::uint64_t value = 0;
    if (!read(width, value)) return false;
    item.kind = MsgpackKind::real;
    item.real =
        width == 4 ? std::bit_cast<float>(static_cast<std::uint32_t>(value)) : std::bit_cast<double>(value);
    return true;
  }
  bool fixed_extension(MsgpackItem& item, std::size_t size) {
    if (left() == 0) return false;
    ++at_;  // its type
    return view(item, MsgpackKind::bytes, size);
  }
  bool tagged(MsgpackItem& item, std::uint8_t tag) {
    std::uint64_t value = 0;
    switch (tag) {
      case 0xC0:
        item.kind = MsgpackKind::nil;
        return true;
      case 0xC2:
      case 0xC3:
        item.kind = MsgpackKind::boolean;
        item.number = tag & 1;
        return true;
      case 0xC4:
      case 0xC5:
      case 0xC6:
        return sized(item, MsgpackKind::bytes, std::size_t{1} << (tag - 0xC4));
      case 0xC7:
      case 0xC8:
      case 0xC9:
        return sized(item, MsgpackKind::bytes, std::size_t{1} << (tag - 0xC7), 1);
      case 0xCA:
        return real(item, 4);
      case 0xCB:
        return real(item, 8);
      case 0xCC:
      case 0xCD:
      case 0xCE:
      case 0xCF:
        return read(std::size_t{1} << (tag - 0xCC), value) && integer(item, value, false);
      case 0xD0:
      case 0xD1:
      case 0xD2:
      case 0xD3:
        return signed_integer(item, std::size_t{1} << (tag - 0xD0));
      case 0xD4:
      case 0xD5:
      case 0xD6:
      case 0xD7:
      case 0xD8:
        return fixed_extension(item, std::size_t{1} << (tag - 0xD4));
      case 0xD9:
      case 0xDA:
      case 0xDB:
        return sized(item, MsgpackKind::text, std::size_t{1} << (tag - 0xD9));
      case 0xDC:
      case 0xDD:
        return counted(item, MsgpackKind::array, std::size_t{2} << (tag - 0xDC));
      case 0xDE:
      case 0xDF:
        return counted(item, MsgpackKind::map, std::size_t{2} << (tag - 0xDE));
      default:
        return false;  // 0xC1: never used
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t at_;
};

}  // namespace troupe::kv_events
