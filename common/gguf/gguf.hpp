#pragma once
// The GGUF container (v2, v3) through mmap: every offset, count, string and alignment is checked before use,
// and no allocation is sized by a number from the file alone. What the tensors mean is common/model's
// business.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::gguf {

/// Element types as numbered in the file. Only those with a row in tensor_type_info() are accepted.
enum class TensorType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;         ///< "Q4_K"
  std::uint32_t block_elements;  ///< 1 for floats, 32 or 256
  std::uint32_t block_bytes;
};
/// nullptr for a number this build does not know.
[[nodiscard]] const TensorTypeInfo* tensor_type_info(std::uint32_t number);

/// One tensor of the file. `shape[0]` is the contiguous dimension (GGUF order); `data` points into the
/// mapping.
struct Tensor {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;
  [[nodiscard]] std::uint64_t elements() const;
};

class File {
 public:
  /// Maps and checks the whole structure (not the weights' values).
  /// Errors: file_not_found, file_malformed and file_unsupported; the detail names file, field, found and
  /// expected.
  [[nodiscard]] static Expected<std::shared_ptr<const File>> open(const std::filesystem::path& path);
  /// Where the bytes lie: in somebody's memory, or in a private mapping of the file they came from.
  enum class Bytes : std::uint8_t { memory, mapping };
  /// The same checks over bytes in memory, which must outlive the File (tests and fuzzing). `name` is used in
  /// errors.
  [[nodiscard]] static Expected<std::shared_ptr<const File>> parse(std::span<const std::byte> bytes,
                                                                   std::string name,
                                                                   Bytes where = Bytes::memory);

  virtual ~File() = default;
  [[nodiscard]] virtual const std::filesystem::path& path() const = 0;
  [[nodiscard]] virtual std::uint64_t file_bytes() const = 0;
  [[nodiscard]] virtual std::span<const Tensor> tensors() const = 0;
  [[nodiscard]] virtual const Tensor* tensor(std::string_view name) const = 0;
  /// The caller has its own copy of a tensor: a mapped file's memory for it may go, and is read again at the
  /// next use. Its whole pages only. Threads: any.
  virtual void release(const Tensor& tensor) const = 0;

  /// Metadata. Missing key: nullopt. Wrong type: file_malformed naming the key (integers of any width and
  /// sign convert when they fit).
  [[nodiscard]] virtual bool has(std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<std::uint64_t>> unsigned_value(std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<double>> float_value(std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<bool>> bool_value(std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<std::string_view>> string_value(
      std::string_view key) const = 0;
  /// Arrays: views into the mapping for strings, copies for numbers.
  [[nodiscard]] virtual Expected<std::optional<std::vector<std::string_view>>> string_array(
      std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<std::vector<double>>> float_array(
      std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<std::vector<std::int64_t>>> integer_array(
      std::string_view key) const = 0;
  [[nodiscard]] virtual Expected<std::optional<std::vector<bool>>> bool_array(std::string_view key) const = 0;

  /// For `troupe models inspect`: every key with its value shortened to `max_chars`.
  struct KeyText {
    std::string key, type, value;
  };
  [[nodiscard]] virtual std::vector<KeyText> describe(std::size_t max_chars) const = 0;
};

}  // namespace troupe::gguf
