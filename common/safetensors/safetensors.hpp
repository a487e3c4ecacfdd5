#pragma once
// The safetensors container through mmap: every length, offset and shape is checked before use, and no
// allocation is sized by a number from the file alone.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::safetensors {

/// Element types that are read as numbers, and all others that a file may hold beside them.
enum class Type : std::uint8_t { f32, f16, bf16, other };

/// One tensor. The last dimension is the contiguous one; `data` points into the mapping, at no alignment.
struct Tensor {
  std::string name;
  Type type = Type::other;
  std::string dtype;  ///< "F32", as the file spells it
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;
  [[nodiscard]] std::uint64_t elements() const;
};

class File {
 public:
  /// Errors: file_not_found, file_malformed, file_unsupported (an unknown element type).
  [[nodiscard]] static Expected<std::shared_ptr<const File>> open(const std::filesystem::path& path);
  /// The same checks over bytes in memory, which must outlive the File. `name` is used in errors.
  [[nodiscard]] static Expected<std::shared_ptr<const File>> parse(std::span<const std::byte> bytes,
                                                                   std::string name);

  File(std::string name, std::vector<Tensor> tensors)
      : name_(std::move(name)), tensors_(std::move(tensors)) {}
  [[nodiscard]] const std::string& name() const { return name_; }  ///< its path, or what parse() was given
  [[nodiscard]] std::span<const Tensor> tensors() const { return tensors_; }  ///< by name
  [[nodiscard]] const Tensor* tensor(std::string_view name) const;

 private:
  std::string name_;
  std::vector<Tensor> tensors_;
};

}  // namespace troupe::safetensors
