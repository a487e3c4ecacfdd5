// Any bytes as a model file: parsing, every accessor, the description, the model's properties and its tensors must neither
// crash nor read outside the bytes.
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/gguf/gguf.hpp"
#include "common/model/model.hpp"

namespace {

void read_every_key(const troupe::gguf::File& file) {
  for (const auto& row : file.describe(64)) {
    (void)file.unsigned_value(row.key);
    (void)file.float_value(row.key);
    (void)file.bool_value(row.key);
    (void)file.string_value(row.key);
    (void)file.string_array(row.key);
    (void)file.float_array(row.key);
    (void)file.integer_array(row.key);
    (void)file.bool_array(row.key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = troupe::gguf::File::parse(bytes, "fuzz");
  if (!file) return 0;
  read_every_key(**file);
  unsigned sum = 0;
  for (const auto& tensor : (*file)->tensors())
    for (const std::byte value : tensor.data) sum += std::to_integer<unsigned>(value);
  const auto model = troupe::Model::from_file(*file);
  if (model) sum += static_cast<unsigned>((*model)->id("fuzz").low);
  return sum == 0xFFFFFFFFU ? -1 : 0;
}
