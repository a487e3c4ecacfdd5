#pragma once
// A backend with its calls made short for tests: floats in, floats out. Inputs come from a counter, so every machine sees
// the same ones.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/tensor/quant_formats.hpp"

namespace troupe::backend::test {

/// Uniform in [-1, 1) with 24 bits, exact on every machine (splitmix64).
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
  }
  float one() { return static_cast<float>(static_cast<std::int64_t>(bits() >> 40) - (1 << 23)) * 0x1p-23F; }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(bits() % n); }
  std::vector<float> many(std::size_t n, float scale = 1.0F) {
    std::vector<float> values(n);
    for (float& value : values) value = one() * scale;
    return values;
  }

 private:
  std::uint64_t state_;
};

inline std::vector<std::byte> blocks_of(gguf::TensorType type, const std::vector<float>& values) {
  const auto bytes = quantized_bytes(type, values.size());
  std::vector<std::byte> blocks(bytes.value());
  EXPECT_TRUE(quantize(type, values, blocks).has_value());
  return blocks;
}

inline std::vector<float> floats_of(gguf::TensorType type, const std::vector<std::byte>& blocks, std::size_t n) {
  std::vector<float> values(n);
  EXPECT_TRUE(dequantize(type, blocks, values).has_value());
  return values;
}

inline const std::vector<gguf::TensorType>& all_types() {
  using enum gguf::TensorType;
  static const std::vector<gguf::TensorType> types = {f32,  f16,  bf16, q4_0, q4_1, q5_0, q5_1,
                                                      q8_0, q2_k, q3_k, q4_k, q5_k, q6_k};
  return types;
}

/// What KV pages may hold.
struct Mode {
  Numerics numerics;
  KvCodec codec;
};
inline constexpr Mode kModes[] = {
    {Numerics::fast, KvCodec::f16}, {Numerics::fast, KvCodec::int8}, {Numerics::reference, KvCodec::f16}};

/// A device tensor that owns its buffer.
struct Held {
  std::unique_ptr<Buffer> buffer;
  TensorRef ref;
};

class Rig {
 public:
  explicit Rig(Isa isa = Isa::automatic, std::uint32_t threads = 1, Numerics numerics = Numerics::fast,
               KvCodec codec = KvCodec::f16) {
    auto made = make_cpu_backend({.threads = threads, .isa = isa, .numerics = numerics, .kv_codec = codec});
    EXPECT_TRUE(made.has_value());
    backend = std::move(*made);
    stream = backend->make_stream();
  }

  Held empty(std::uint32_t rows, std::uint32_t cols) { return hold(rows, cols, DType::f32, std::size_t{rows} * cols * 4); }
  Held floats(std::uint32_t rows, std::uint32_t cols, const std::vector<float>& values) {
    Held held = empty(rows, cols);
    backend->upload(*stream, *held.buffer, 0, std::as_bytes(std::span(values)));
    return held;
  }
  Held ints(const std::vector<std::int32_t>& values) {
    Held held = hold(1, static_cast<std::uint32_t>(values.size()), DType::i32, values.size() * 4);
    backend->upload(*stream, *held.buffer, 0, std::as_bytes(std::span(values)));
    return held;
  }
  Held activation(std::uint32_t rows, std::uint32_t cols) {
    return hold(rows, cols, DType::activation, backend->activation_bytes(rows, cols));
  }
  std::unique_ptr<Weight> matrix(gguf::TensorType type, std::uint32_t n, std::uint32_t k, const std::vector<std::byte>& blocks) {
    auto weight = backend->make_matrix(type, n, k, blocks);
    EXPECT_TRUE(weight.has_value());
    return std::move(*weight);
  }
  std::unique_ptr<Weight> vector(const std::vector<float>& values) {
    auto weight = backend->make_vector(gguf::TensorType::f32, static_cast<std::uint32_t>(values.size()),
                                       std::as_bytes(std::span(values)));
    EXPECT_TRUE(weight.has_value());
    return std::move(*weight);
  }
  std::vector<float> read(const Held& held) {
    std::vector<float> values(std::size_t{held.ref.rows} * held.ref.cols);
    backend->download(*stream, std::as_writable_bytes(std::span(values)), *held.buffer, 0);
    backend->synchronize(*stream);
    return values;
  }

  /// prepare + linear of x [rows, k].
  std::vector<float> linear(const std::vector<float>& x, std::uint32_t rows, const Weight& weight, const Weight* bias = nullptr) {
    Held in = floats(rows, weight.cols(), x);
    Held prepared = activation(rows, weight.cols());
    Held out = empty(rows, weight.rows());
    backend->prepare(*stream, in.ref, prepared.ref);
    backend->linear(*stream, prepared.ref, weight, bias, out.ref);
    return read(out);
  }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Stream> stream;

 private:
  Held hold(std::uint32_t rows, std::uint32_t cols, DType dtype, std::size_t bytes) {
    auto buffer = backend->allocate(bytes);
    EXPECT_TRUE(buffer.has_value());
    Held held{std::move(*buffer), {}};
    held.ref = {held.buffer.get(), 0, dtype, rows, cols, cols};
    return held;
  }
};

/// Equal as bytes: -0 is not 0, and NaN equals itself.
inline ::testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " values against " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], 4) != 0)
      return ::testing::AssertionFailure() << "value " << i << " of " << a.size() << ": " << a[i] << " against " << b[i];
  return ::testing::AssertionSuccess();
}

inline std::vector<float> row_of(const std::vector<float>& values, std::size_t row, std::size_t cols) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * cols);
  return {begin, begin + static_cast<std::ptrdiff_t>(cols)};
}

}  // namespace troupe::backend::test
