#pragma once
// What an encoder's layers compute beside products. Every sum has one order and every function is our own, so
// that each machine and each batch gives the same bits.
#include <cstdint>
#include <span>

namespace troupe::encoder {

/// Rows of `weight.size()` numbers, in place: (x - mean) / sqrt(variance + eps) * weight + bias.
void layer_norm(std::span<float> rows, std::span<const float> weight, std::span<const float> bias, float eps);

/// The error function; its error is under 1e-13.
[[nodiscard]] double erf(double x);
/// x * 0.5 * (1 + erf(x / sqrt(2))), in place.
void gelu(std::span<float> values);

/// Attention of every token of one text to every token of it. `q`, `k`, `v`, `out` `[T, H * d]`, heads side
/// by side. Cost: T * T * H * d.
void attend(std::span<const float> q, std::span<const float> k, std::span<const float> v, std::uint32_t heads,
            std::uint32_t width, std::span<float> out);

}  // namespace troupe::encoder
