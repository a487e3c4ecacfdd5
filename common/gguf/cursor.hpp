#pragma once
// Reads little-endian fields from bytes that nobody has checked yet. A read past the end gives nullopt and
// moves nothing.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe::gguf {

static_assert(std::endian::native == std::endian::little, "the mapping is read in place, as little-endian");

class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t remaining() const { return bytes_.size() - position_; }

  template <class T>
  [[nodiscard]] std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }

  [[nodiscard]] std::optional<std::span<const std::byte>> take(std::uint64_t count) {
    if (remaining() < count) return std::nullopt;
    const auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t position_ = 0;
};

/// Text of the file made fit for an error or a terminal: quoted, shortened, other than printable ASCII as
/// \xNN.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_chars = 80);

}  // namespace troupe::gguf
