#pragma once
// Sets of Unicode code points, and their UTF-8 as sequences of byte ranges.
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace troupe::grammar {

struct CharRange {
  char32_t first = 0, last = 0;
  bool operator==(const CharRange&) const = default;
};

inline constexpr char32_t kLastChar = 0x10FFFF;

/// Sorted, disjoint, never a surrogate. Threads: any for const calls.
class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);
  [[nodiscard]] static CharSet all();

  void add(char32_t first, char32_t last);
  void add(char32_t one) { add(one, one); }
  void add(const CharSet& other);
  [[nodiscard]] CharSet complement() const;
  [[nodiscard]] CharSet without(const CharSet& other) const;
  [[nodiscard]] CharSet within(const CharSet& other) const;
  [[nodiscard]] bool contains(char32_t one) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] std::span<const CharRange> ranges() const& { return ranges_; }
  [[nodiscard]] std::span<const CharRange> ranges() const&& = delete;  // they would be gone

 private:
  void insert(CharRange range);
  std::vector<CharRange> ranges_;
};

struct ByteRange {
  std::uint8_t first = 0, last = 0;
  bool operator==(const ByteRange&) const = default;
};
/// One to four ranges that stand one behind another.
using ByteSequence = std::vector<ByteRange>;

/// Sequences that match the UTF-8 of exactly the characters of `set`.
[[nodiscard]] std::vector<ByteSequence> utf8_sequences(const CharSet& set);

/// Appends one character's UTF-8.
void append_utf8(std::string& text, char32_t one);

}  // namespace troupe::grammar
