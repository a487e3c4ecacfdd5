#pragma once
// The printable alphabet in which byte-level BPE vocabularies spell bytes (Radford et al. 2019, "Language
// Models are Unsupervised Multitask Learners", code release): printable Latin-1 bytes stand for themselves,
// the other 68 bytes for U+0100 and up in ascending order.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// The bytes that `spelled` stands for; nullopt if a character is not of the alphabet.
[[nodiscard]] std::optional<std::string> bytes_from_alphabet(std::string_view spelled);
/// The spelling of any bytes.
[[nodiscard]] std::string alphabet_from_bytes(std::string_view bytes);

}  // namespace troupe
