#pragma once
// KV pages of one format become pages of another: other page sizes, another order of K, another number
// format.
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/error.hpp"
#include "common/kv/page_format.hpp"

namespace troupe {

/// What a conversion leaves of the numbers.
enum class Fidelity : std::uint8_t {
  same_bits,    ///< they only move
  same_values,  ///< every one is held exactly, in a wider format
  rounded,      ///< some are not
};

/// A plan to move slots of one layer from pages of one format to pages of another. Formats come from other
/// processes, so whatever does not fit is an error, not a fault. What a slot becomes depends on that slot
/// alone, and is the same on every machine; int8 codes are those that the backend itself makes of the same
/// floats. Threads: one. Memory: one row of a head, reused.
class PageConverter {
 public:
  /// Errors: numerics_mismatch when heads or widths differ (another model), or a format is none.
  [[nodiscard]] static Expected<PageConverter> create(const PageFormat& from, const PageFormat& to);

  [[nodiscard]] const PageFormat& from() const { return from_; }
  [[nodiscard]] const PageFormat& to() const { return to_; }
  [[nodiscard]] Fidelity fidelity() const;

  /// Slots [from_slot, from_slot + slots) of one layer's page become those from `to_slot` on; the rest of
  /// `target` stays. Errors: transfer_failed when a page has not the size of its format, or the slots lie
  /// outside.
  [[nodiscard]] Expected<void> move(std::span<const std::byte> source, std::uint32_t from_slot,
                                    std::span<std::byte> target, std::uint32_t to_slot, std::uint32_t slots);

 private:
  PageConverter(const PageFormat& from, const PageFormat& to);
  void move_bits(std::span<const std::byte> source, std::uint32_t from_slot, std::span<std::byte> target,
                 std::uint32_t to_slot, std::uint32_t slots) const;
  void move_row(std::span<const std::byte> source, std::uint32_t from_slot, std::span<std::byte> target,
                std::uint32_t to_slot, std::uint32_t head, bool keys);

  PageFormat from_, to_;
  std::vector<float> row_;  // a slot's K or V of one head
};

}  // namespace troupe
