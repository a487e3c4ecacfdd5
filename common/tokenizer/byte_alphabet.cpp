#include "common/tokenizer/byte_alphabet.hpp"

#include <array>

#include "common/tokenizer/utf8.hpp"

namespace troupe {
namespace {

struct Alphabet {
  std::array<char32_t, 256> letter{};         // byte -> code point
  std::array<std::int16_t, 0x180> byte_of{};  // code point -> byte, -1: none
};

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

Alphabet build() {
  Alphabet alphabet;
  alphabet.byte_of.fill(-1);
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t code = stands_for_itself(byte) ? char32_t{byte} : next++;
    alphabet.letter[byte] = code;
    alphabet.byte_of[code] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

const Alphabet& alphabet() {
  static const Alphabet instance = build();
  return instance;
}

}  // namespace

std::optional<std::string> bytes_from_alphabet(std::string_view spelled) {
  if (utf8::first_invalid(spelled)) return std::nullopt;
  std::string bytes;
  for (std::size_t at = 0; at < spelled.size(); at += utf8::length_from_lead(spelled[at])) {
    const char32_t code = utf8::decode_valid(spelled.data() + at);
    if (code >= alphabet().byte_of.size() || alphabet().byte_of[code] < 0) return std::nullopt;
    bytes += static_cast<char>(static_cast<unsigned char>(alphabet().byte_of[code]));
  }
  return bytes;
}

std::string alphabet_from_bytes(std::string_view bytes) {
  std::string spelled;
  for (const char byte : bytes) utf8::append(spelled, alphabet().letter[static_cast<unsigned char>(byte)]);
  return spelled;
}

}  // namespace troupe
