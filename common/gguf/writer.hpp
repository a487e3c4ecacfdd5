#pragma once
// Writes GGUF v3. Metadata keeps the order of the calls; tensors are laid out in the order they were added.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe::gguf {

class Writer {
 public:
  /// Fills a tensor's bytes; called once per write, so that a file larger than memory can be made.
  using Fill = std::function<void(std::span<std::byte>)>;

  /// Replaces nothing: setting a key twice gives a file that File refuses.
  void set_u8(std::string_view key, std::uint8_t value);
  void set_u32(std::string_view key, std::uint32_t value);
  void set_i32(std::string_view key, std::int32_t value);
  void set_u64(std::string_view key, std::uint64_t value);
  void set_i64(std::string_view key, std::int64_t value);
  void set_f32(std::string_view key, float value);
  void set_f64(std::string_view key, double value);
  void set_bool(std::string_view key, bool value);
  void set_string(std::string_view key, std::string_view value);
  void set_strings(std::string_view key, std::span<const std::string> values);
  void set_f32s(std::string_view key, std::span<const float> values);
  void set_i32s(std::string_view key, std::span<const std::int32_t> values);
  void set_u32s(std::string_view key, std::span<const std::uint32_t> values);
  void set_bools(std::string_view key, const std::vector<bool>& values);

  /// `shape[0]` is contiguous and must be a multiple of the type's block.
  /// Errors: shape_mismatch naming the tensor, when the shape does not suit the type or `data` is not exactly
  /// its size.
  [[nodiscard]] Expected<void> add_tensor(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                                          Fill fill);
  [[nodiscard]] Expected<void> add_tensor(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                                          std::vector<std::byte> data);

  /// The whole file in memory.
  [[nodiscard]] std::vector<std::byte> bytes() const;
  /// Writes beside `path` and renames, so that a reader never sees half a file.
  /// Errors: io_failed.
  [[nodiscard]] Expected<void> save(const std::filesystem::path& path) const;

 private:
  struct Pending {
    std::string name;
    TensorType type;
    std::vector<std::uint64_t> shape;
    std::uint64_t size;
    Fill fill;
  };
  using Sink = std::function<bool(std::span<const std::byte>)>;

  [[nodiscard]] std::vector<std::byte> header() const;
  bool write(const Sink& sink) const;
  void key(std::string_view name, std::uint32_t type);

  std::vector<std::byte> metadata_;
  std::uint64_t metadata_count_ = 0;
  std::vector<Pending> tensors_;
};

}  // namespace troupe::gguf
