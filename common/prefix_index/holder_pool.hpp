#pragma once
// Where the holder lists of widely held blocks live: arrays of 8 to 16384 small numbers, taken from chunks of
// 64 KiB, one free list per size. A freed array serves the next one of its size; chunks are kept.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace troupe {

/// Threads: one. Cost: O(1).
class HolderPool {
 public:
  static constexpr std::uint16_t kClasses = 12;
  [[nodiscard]] static constexpr std::uint32_t capacity(std::uint16_t size_class) { return 8u << size_class; }

  explicit HolderPool(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// None when chunks would exceed the limit.
  [[nodiscard]] std::optional<std::uint32_t> allocate(std::uint16_t size_class);
  void release(std::uint16_t size_class, std::uint32_t handle);
  [[nodiscard]] std::uint16_t* at(std::uint16_t size_class, std::uint32_t handle) const;
  [[nodiscard]] std::size_t bytes() const { return chunks_ * kChunkNumbers * sizeof(std::uint16_t); }

 private:
  static constexpr std::uint32_t kChunkNumbers = 32768;
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Class {
    std::vector<std::unique_ptr<std::uint16_t[]>> chunks;
    std::uint32_t made = 0;       // handles given out so far
    std::uint32_t free = kNone;   // the first freed one; its first two numbers name the next
  };
  std::array<Class, kClasses> classes_;
  std::size_t max_bytes_;
  std::size_t chunks_ = 0;
};

}  // namespace troupe
