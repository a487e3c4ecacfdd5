#include "common/tokenizer/charsmap.hpp"

#include <cstring>

#include <fmt/format.h>

namespace troupe {
namespace {

// A unit of the array: label in the low byte (with bit 31 it is a value, not a node), a flag whether a value
// hangs below, and the offset of its children.
std::uint32_t label_of(std::uint32_t unit) {
  return unit & (1U << 31 | 0xFFU);
}
bool has_value(std::uint32_t unit) {
  return (unit >> 8 & 1U) != 0;
}
std::uint32_t offset_of(std::uint32_t unit) {
  return unit >> 10 << ((unit & 1U << 9) >> 6);
}
std::uint32_t value_of(std::uint32_t unit) {
  return unit & ~(1U << 31);
}

}  // namespace

Expected<CharsMap> CharsMap::read(std::string_view blob) {
  CharsMap map;
  if (blob.empty()) return map;
  std::uint32_t bytes = 0;
  if (blob.size() < sizeof bytes)
    return fail(Errc::file_malformed,
                fmt::format("precompiled_charsmap has {} bytes, expected 4 or more", blob.size()));
  std::memcpy(&bytes, blob.data(), sizeof bytes);
  if (bytes % 4 != 0 || bytes == 0 || bytes > blob.size() - sizeof bytes)
    return fail(Errc::file_malformed, fmt::format("precompiled_charsmap states a trie of {} bytes, has {}",
                                                  bytes, blob.size() - sizeof bytes));
  map.units_.resize(bytes / 4);
  std::memcpy(map.units_.data(), blob.data() + sizeof bytes, bytes);
  map.replacements_ = blob.substr(sizeof bytes + bytes);
  if (map.replacements_.empty() || map.replacements_.back() != '\0') map.replacements_ += '\0';
  return map;
}

std::optional<CharsMap::Match> CharsMap::longest(std::string_view text) const {
  if (units_.empty()) return std::nullopt;
  std::optional<Match> best;
  std::size_t node = offset_of(units_[0]);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) break;
    const std::uint32_t value = value_of(units_[node]);
    if (value >= replacements_.size()) break;
    best = Match{at + 1, std::string_view(replacements_.data() + value)};
  }
  return best;
}

}  // namespace troupe
