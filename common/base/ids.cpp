#include "common/base/ids.hpp"

#include <sys/random.h>

namespace troupe::detail {

std::string hex128(std::uint64_t high, std::uint64_t low) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (int i = 0; i < 16; ++i) {
    text[static_cast<std::size_t>(15 - i)] = kDigits[(high >> (4 * i)) & 15];
    text[static_cast<std::size_t>(31 - i)] = kDigits[(low >> (4 * i)) & 15];
  }
  return text;
}

bool parse_hex128(std::string_view text, std::uint64_t& high, std::uint64_t& low) {
  if (text.size() != 32) return false;
  std::uint64_t words[2] = {0, 0};
  for (std::size_t i = 0; i < 32; ++i) {
    const char c = text[i];
    std::uint64_t digit = 0;
    if (c >= '0' && c <= '9') digit = static_cast<std::uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f') digit = static_cast<std::uint64_t>(c - 'a' + 10);
    else return false;
    words[i / 16] = (words[i / 16] << 4) | digit;
  }
  high = words[0];
  low = words[1];
  return true;
}

void random_bytes(void* out, std::size_t size) {
  const ssize_t got = ::getrandom(out, size, 0);
  TROUPE_CHECK(got == static_cast<ssize_t>(size), "the system's random source failed");
}

}  // namespace troupe::detail
