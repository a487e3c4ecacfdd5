#pragma once
// Weights as the kernels want them: panels of 16 outputs, one vector lane each, blocks of 32 inputs in ascending k.
//
// A quantised panel is K/32 blocks of [codes][scales][mins], for factored formats with the factors of 8 blocks in front of each
// 8. Byte 4 * lane + i of a 64-byte code group holds input 4 * group + i of that lane; with nibbles, group g of 0..3 is in the
// low halves and group g + 4 in the high ones.
// A float panel is [K][16] of f32, f16 or bf16. Outputs past N are zero.
#include <memory>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/memory.hpp"
#include "common/backend/cpu/quant_unpack.hpp"

namespace troupe::backend::cpu {

inline constexpr std::uint32_t kLanes = 16;
inline constexpr std::uint32_t kBlock = 32;

enum class PanelKind : std::uint8_t { quantized, f32, f16, bf16, vector };

class PackedWeight final : public Weight {
 public:
  /// Errors: as Backend::make_matrix.
  static Expected<std::unique_ptr<PackedWeight>> matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                        std::span<const std::byte> blocks, Numerics numerics,
                                                        WeightArena& arena);
  static Expected<std::unique_ptr<PackedWeight>> vector(gguf::TensorType type, std::uint32_t n,
                                                        std::span<const std::byte> blocks, WeightArena& arena);

  [[nodiscard]] std::uint32_t rows() const override { return n_; }
  [[nodiscard]] std::uint32_t cols() const override { return k_; }
  [[nodiscard]] std::size_t bytes() const override { return bytes_; }

  [[nodiscard]] PanelKind kind() const { return kind_; }
  [[nodiscard]] const QuantFormat& format() const { return format_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t panel_bytes() const { return panel_bytes_; }
  [[nodiscard]] std::uint32_t panels() const { return (n_ + kLanes - 1) / kLanes; }
  /// Of a vector.
  [[nodiscard]] const float* values() const { return reinterpret_cast<const float*>(data_); }
  /// Row `n` of a matrix as float32.
  void row(std::uint32_t n, float* out) const;

 private:
  PackedWeight(ArenaBytes memory, std::size_t bytes, std::uint32_t n, std::uint32_t k, PanelKind kind, QuantFormat format,
               std::size_t panel_bytes)
      : chunk_(std::move(memory.chunk)), data_(memory.data), bytes_(bytes), n_(n), k_(k), kind_(kind), format_(format),
        panel_bytes_(panel_bytes) {}
  [[nodiscard]] std::byte* factors_of(std::uint32_t n, std::uint32_t block) const {
    return data_ + n / kLanes * panel_bytes_ + format_.factors_offset(block);
  }
  void pack_block(std::uint32_t n, std::uint32_t block, const UnpackedBlock& from);
  void unpack_block(std::uint32_t n, std::uint32_t block, UnpackedBlock& to) const;

  std::shared_ptr<Memory> chunk_;  ///< shared with the weights beside it
  std::byte* data_;
  std::size_t bytes_;
  std::uint32_t n_;
  std::uint32_t k_;
  PanelKind kind_;
  QuantFormat format_;
  std::size_t panel_bytes_;
};

}  // namespace troupe::backend::cpu
