#include "common/gguf/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>

#include "common/gguf/metadata.hpp"

namespace troupe::gguf {
namespace {

constexpr std::uint64_t kAlignment = 32;  // the format's default, so general.alignment need not be written

void put_bytes(std::vector<std::byte>& out, const void* from, std::size_t size) {
  const std::size_t before = out.size();
  out.resize(before + size);
  if (size != 0) std::memcpy(out.data() + before, from, size);
}

template <class T>
void put(std::vector<std::byte>& out, T value) {
  put_bytes(out, &value, sizeof value);
}

void put_string(std::vector<std::byte>& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  put_bytes(out, text.data(), text.size());
}

void put_array(std::vector<std::byte>& out, ValueType element, std::uint64_t count) {
  put(out, static_cast<std::uint32_t>(element));
  put(out, count);
}

std::uint64_t aligned(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

void Writer::key(std::string_view name, std::uint32_t type) {
  put_string(metadata_, name);
  put(metadata_, type);
  ++metadata_count_;
}

#define TROUPE_GGUF_SCALAR(method, cpp_type, value_type)          \
  void Writer::method(std::string_view name, cpp_type value) {    \
    key(name, static_cast<std::uint32_t>(ValueType::value_type)); \
    put(metadata_, value);                                        \
  }
TROUPE_GGUF_SCALAR(set_u8, std::uint8_t, u8)
TROUPE_GGUF_SCALAR(set_u32, std::uint32_t, u32)
TROUPE_GGUF_SCALAR(set_i32, std::int32_t, i32)
TROUPE_GGUF_SCALAR(set_u64, std::uint64_t, u64)
TROUPE_GGUF_SCALAR(set_i64, std::int64_t, i64)
TROUPE_GGUF_SCALAR(set_f32, float, f32)
TROUPE_GGUF_SCALAR(set_f64, double, f64)
#undef TROUPE_GGUF_SCALAR

void Writer::set_bool(std::string_view name, bool value) {
  key(name, static_cast<std::uint32_t>(ValueType::boolean));
  put<std::uint8_t>(metadata_, value ? 1 : 0);
}

void Writer::set_string(std::string_view name, std::string_view value) {
  key(name, static_cast<std::uint32_t>(ValueType::string));
  put_string(metadata_, value);
}

void Writer::set_strings(std::string_view name, std::span<const std::string> values) {
  key(name, static_cast<std::uint32_t>(ValueType::array));
  put_array(metadata_, ValueType::string, values.size());
  for (const std::string& value : values) put_string(metadata_, value);
}

void Writer::set_f32s(std::string_view name, std::span<const float> values) {
  key(name, static_cast<std::uint32_t>(ValueType::array));
  put_array(metadata_, ValueType::f32, values.size());
  for (const float value : values) put(metadata_, value);
}

void Writer::set_i32s(std::string_view name, std::span<const std::int32_t> values) {
  key(name, static_cast<std::uint32_t>(ValueType::array));
  put_array(metadata_, ValueType::i32, values.size());
  for (const std::int32_t value : values) put(metadata_, value);
}

void Writer::set_u32s(std::string_view name, std::span<const std::uint32_t> values) {
  key(name, static_cast<std::uint32_t>(ValueType::array));
  put_array(metadata_, ValueType::u32, values.size());
  for (const std::uint32_t value : values) put(metadata_, value);
}

void Writer::set_bools(std::string_view name, const std::vector<bool>& values) {
  key(name, static_cast<std::uint32_t>(ValueType::array));
  put_array(metadata_, ValueType::boolean, values.size());
  for (const bool value : values) put<std::uint8_t>(metadata_, value ? 1 : 0);
}

Expected<void> Writer::add_tensor(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                                  Fill fill) {
  const TensorTypeInfo* info = tensor_type_info(static_cast<std::uint32_t>(type));
  if (!info) return fail(Errc::shape_mismatch, fmt::format("tensor {}: unknown type", printable(name)));
  if (shape.empty() || shape.size() > 4 || shape[0] == 0 || shape[0] % info->block_elements != 0)
    return fail(Errc::shape_mismatch,
                fmt::format("tensor {}: found dimension 0 of {}, expected a multiple of {}", printable(name),
                            shape.empty() ? 0 : shape[0], info->block_elements));
  std::uint64_t elements = 1;
  for (const std::uint64_t dimension : shape) elements *= dimension;
  tensors_.push_back({std::move(name), type, std::move(shape),
                      elements / info->block_elements * info->block_bytes, std::move(fill)});
  return {};
}

Expected<void> Writer::add_tensor(std::string name, TensorType type, std::vector<std::uint64_t> shape,
                                  std::vector<std::byte> data) {
  const std::size_t size = data.size();
  TROUPE_TRY(add_tensor(name, type, std::move(shape), [held = std::move(data)](std::span<std::byte> out) {
    std::memcpy(out.data(), held.data(), std::min(out.size(), held.size()));
  }));
  if (tensors_.back().size == size) return {};
  const std::uint64_t expected = tensors_.back().size;
  tensors_.pop_back();
  return fail(Errc::shape_mismatch,
              fmt::format("tensor {}: found {} bytes, expected {}", printable(name), size, expected));
}

std::vector<std::byte> Writer::header() const {
  std::vector<std::byte> out;
  put<std::uint32_t>(out, 0x46554747);  // "GGUF"
  put<std::uint32_t>(out, 3);
  put<std::uint64_t>(out, tensors_.size());
  put<std::uint64_t>(out, metadata_count_);
  put_bytes(out, metadata_.data(), metadata_.size());
  std::uint64_t offset = 0;
  for (const Pending& tensor : tensors_) {
    put_string(out, tensor.name);
    put(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (const std::uint64_t dimension : tensor.shape) put(out, dimension);
    put(out, static_cast<std::uint32_t>(tensor.type));
    put(out, offset);
    offset += aligned(tensor.size);
  }
  out.resize(aligned(out.size()));
  return out;
}

bool Writer::write(const Sink& sink) const {
  if (!sink(header())) return false;
  std::vector<std::byte> buffer;
  for (const Pending& tensor : tensors_) {
    buffer.assign(aligned(tensor.size), std::byte{0});
    tensor.fill(std::span(buffer).first(tensor.size));
    if (!sink(buffer)) return false;
  }
  return true;
}

std::vector<std::byte> Writer::bytes() const {
  std::vector<std::byte> out;
  write([&out](std::span<const std::byte> part) {
    put_bytes(out, part.data(), part.size());
    return true;
  });
  return out;
}

Expected<void> Writer::save(const std::filesystem::path& path) const {
  std::filesystem::path partial = path;
  partial += fmt::format(".partial-{}", ::getpid());
  std::FILE* file = std::fopen(partial.c_str(), "wb");
  if (file == nullptr)
    return fail(Errc::io_failed, fmt::format("{}: {}", partial.string(), std::strerror(errno)));
  bool written = write([file](std::span<const std::byte> part) {
    return std::fwrite(part.data(), 1, part.size(), file) == part.size();
  });
  written = std::fclose(file) == 0 && written;
  std::error_code error;
  if (written) std::filesystem::rename(partial, path, error);
  if (written && !error) return {};
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  return fail(Errc::io_failed, fmt::format("{}: {}", path.string(),
                                           error ? error.message() : "the file could not be written"));
}

}  // namespace troupe::gguf
