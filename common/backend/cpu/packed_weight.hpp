#pragma once
// Weights as the kernels want them: panels of 16 outputs, one vector lane each, blocks of 32 inputs in ascending k.
//
// A quantised panel is K/32 blocks of [codes][scales][mins]. Byte 4 * lane + i of a 64-byte code group holds input
// 4 * group + i of that lane; with nibbles, group g of 0..3 is in the low halves and group g + 4 in the high ones.
// A float panel is [K][16] of f32, f16 or bf16. Outputs past N are zero.
#include <memory>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/quant_unpack.hpp"

namespace troupe::backend::cpu {

inline constexpr std::uint32_t kLanes = 16;
inline constexpr std::uint32_t kBlock = 32;

/// Zeroed memory on a 64-byte border; large ones are mapped and ask for huge pages. Null data() when memory ran out.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool mapped_ = false;
};

enum class PanelKind : std::uint8_t { quantized, f32, f16, bf16, vector };

class PackedWeight final : public Weight {
 public:
  /// Errors: as Backend::make_matrix.
  static Expected<std::unique_ptr<PackedWeight>> matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k,
                                                        std::span<const std::byte> blocks, Numerics numerics);
  static Expected<std::unique_ptr<PackedWeight>> vector(gguf::TensorType type, std::uint32_t n,
                                                        std::span<const std::byte> blocks);

  [[nodiscard]] std::uint32_t rows() const override { return n_; }
  [[nodiscard]] std::uint32_t cols() const override { return k_; }
  [[nodiscard]] std::size_t bytes() const override { return memory_.bytes(); }

  [[nodiscard]] PanelKind kind() const { return kind_; }
  [[nodiscard]] const QuantFormat& format() const { return format_; }
  [[nodiscard]] const std::byte* data() const { return memory_.data(); }
  [[nodiscard]] std::size_t panel_bytes() const { return panel_bytes_; }
  [[nodiscard]] std::uint32_t panels() const { return (n_ + kLanes - 1) / kLanes; }
  /// Of a vector.
  [[nodiscard]] const float* values() const { return reinterpret_cast<const float*>(memory_.data()); }
  /// Row `n` of a matrix as float32.
  void row(std::uint32_t n, float* out) const;

 private:
  PackedWeight(std::uint32_t n, std::uint32_t k, PanelKind kind, QuantFormat format, std::size_t panel_bytes,
               std::size_t bytes)
      : memory_(bytes), n_(n), k_(k), kind_(kind), format_(format), panel_bytes_(panel_bytes) {}
  void pack_block(std::uint32_t n, std::uint32_t block, const UnpackedBlock& from);
  void unpack_block(std::uint32_t n, std::uint32_t block, UnpackedBlock& to) const;

  Memory memory_;
  std::uint32_t n_;
  std::uint32_t k_;
  PanelKind kind_;
  QuantFormat format_;
  std::size_t panel_bytes_;
};

}  // namespace troupe::backend::cpu
