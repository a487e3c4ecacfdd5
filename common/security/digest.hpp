#pragma once
// SHA-256 of secrets, and their comparison (OpenSSL wall).
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::security {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest sha256(std::string_view bytes);
/// In a time that says nothing about where they differ.
[[nodiscard]] bool same(const Digest& a, const Digest& b);
/// 64 lower-case digits.
[[nodiscard]] std::string to_hex(const Digest& digest);
/// Of 64 digits, upper or lower case; nothing else.
[[nodiscard]] std::optional<Digest> digest_from_hex(std::string_view text);

}  // namespace troupe::security
