#include "common/grammar/char_set.hpp"

#include <algorithm>
#include <array>

namespace troupe::grammar {
namespace {

constexpr CharRange kSurrogates{0xD800, 0xDFFF};

ByteSequence bytes_of(char32_t one) {
  std::string text;
  append_utf8(text, one);
  ByteSequence bytes;
  for (const char c : text) bytes.push_back({static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c)});
  return bytes;
}

/// Splits characters of one length where all continuation bytes below a lead are not covered in full.
void split(char32_t first, char32_t last, std::vector<ByteSequence>& out) {
  const ByteSequence low = bytes_of(first), high = bytes_of(last);
  const std::size_t length = low.size();
  for (std::size_t tail = length - 1; tail > 0; --tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      split(first, first | mask, out);
      return split((first | mask) + 1, last, out);
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, out);
      return split(last & ~mask, last, out);
    }
  }
  ByteSequence sequence;
  for (std::size_t i = 0; i < length; ++i) sequence.push_back({low[i].first, high[i].first});
  out.push_back(std::move(sequence));
}

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) {
  for (const CharRange& range : ranges) add(range.first, range.last);
}

CharSet CharSet::all() {
  return {{0, kLastChar}};
}

void CharSet::add(char32_t first, char32_t last) {
  last = std::min(last, kLastChar);
  if (first > last) return;
  if (first < kSurrogates.first) insert({first, std::min<char32_t>(last, kSurrogates.first - 1)});
  if (last > kSurrogates.last) insert({std::max<char32_t>(first, kSurrogates.last + 1), last});
}

void CharSet::add(const CharSet& other) {
  for (const CharRange& range : other.ranges_) insert(range);
}

/// Joins what it touches.
void CharSet::insert(CharRange range) {
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), range,
                                [](const CharRange& a, const CharRange& b) { return a.last + 1 < b.first; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= range.last + 1; ++end) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
  }
  if (begin == end)
    ranges_.insert(begin, range);
  else
    *begin = range, ranges_.erase(begin + 1, end);
}

CharSet CharSet::complement() const {
  CharSet out;
  char32_t next = 0;
  for (const CharRange& range : ranges_) {
    if (range.first > next) out.add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLastChar) out.add(next, kLastChar);
  return out;
}

CharSet CharSet::within(const CharSet& other) const {
  CharSet out;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const CharRange both{std::max(a->first, b->first), std::min(a->last, b->last)};
    if (both.first <= both.last) out.ranges_.push_back(both);
    a->last < b->last ? ++a : ++b;
  }
  return out;
}

CharSet CharSet::without(const CharSet& other) const {
  return within(other.complement());
}

bool CharSet::contains(char32_t one) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [one](const CharRange& range) { return range.first <= one && one <= range.last; });
}

std::vector<ByteSequence> utf8_sequences(const CharSet& set) {
  constexpr std::array<CharRange, 4> kLengths{
      {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, kLastChar}}};
  std::vector<ByteSequence> out;
  for (const CharRange& range : set.ranges()) {
    for (const CharRange& length : kLengths) {
      const char32_t first = std::max(range.first, length.first), last = std::min(range.last, length.last);
      if (first <= last) split(first, last, out);
    }
  }
  return out;
}

void append_utf8(std::string& text, char32_t one) {
  const auto tail = [&](int shift) { text.push_back(static_cast<char>(0x80 | ((one >> shift) & 0x3F))); };
  if (one < 0x80) {
    text.push_back(static_cast<char>(one));
  } else if (one < 0x800) {
    text.push_back(static_cast<char>(0xC0 | (one >> 6)));
    tail(0);
  } else if (one < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | (one >> 12)));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xF0 | (one >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace troupe::grammar
