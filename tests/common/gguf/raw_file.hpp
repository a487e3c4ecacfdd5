#pragma once
// Builds GGUF bytes field by field, so that a test can write any field wrong.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::gguf::testing {

struct Raw {
  std::vector<std::byte> bytes;

  template <class T>
  Raw& put(T value) {
    const std::size_t before = bytes.size();
    bytes.resize(before + sizeof value);
    std::memcpy(bytes.data() + before, &value, sizeof value);
    return *this;
  }
  Raw& u8(std::uint8_t v) { return put(v); }
  Raw& u32(std::uint32_t v) { return put(v); }
  Raw& u64(std::uint64_t v) { return put(v); }
  Raw& raw(std::string_view text) {
    for (const char c : text) put(c);
    return *this;
  }
  Raw& string(std::string_view text) { return u64(text.size()).raw(text); }
  Raw& header(std::uint64_t tensors, std::uint64_t keys) { return raw("GGUF").u32(3).u64(tensors).u64(keys); }
  Raw& key_u32(std::string_view key, std::uint32_t value) { return string(key).u32(4).u32(value); }
  /// A table entry: name, shape, type number, offset.
  Raw& tensor(std::string_view name, std::vector<std::uint64_t> shape, std::uint32_t type,
              std::uint64_t offset) {
    string(name).u32(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t d : shape) u64(d);
    return u32(type).u64(offset);
  }
  /// Zeros to the next multiple of 32, then `size` bytes of tensor data.
  Raw& data(std::size_t size) {
    bytes.resize((bytes.size() + 31) / 32 * 32 + size);
    return *this;
  }
  Raw& cut(std::size_t size) {
    bytes.resize(bytes.size() - size);
    return *this;
  }
};

}  // namespace troupe::gguf::testing
