#include "common/tokenizer/pre_tokenizer_stages.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "common/tokenizer/scan.hpp"

namespace troupe::pre_tokenizer_stages {
namespace {

using C = CharClass;

/// Tries `match(scan, pos)` (the match's end, or pos for none) at one character after another.
template <class Match>
Piece find(const char* text, std::size_t from, std::size_t limit, const Match& match) {
  const Scan scan(text, limit);
  for (std::size_t pos = from; pos < limit; pos += utf8::length_from_lead(text[pos])) {
    const std::size_t end = match(scan, pos);
    if (end > pos) return {pos, end};
  }
  return {limit, limit};
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// 's|'t|'re|'ve|'m|'ll|'d
std::size_t contraction(const Scan& scan, std::size_t pos, bool any_case) {
  if (scan.byte(pos) != '\'') return pos;
  const char first = any_case ? lower(scan.byte(pos + 1)) : scan.byte(pos + 1);
  const char second = any_case ? lower(scan.byte(pos + 2)) : scan.byte(pos + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) return pos + 3;
  return pos;
}

/// \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word that follows.
std::size_t spaces(const Scan& scan, std::size_t pos) {
  std::size_t last = pos;
  std::size_t end = pos;
  for (Glyph glyph = scan.at(end); glyph.is(C::space); glyph = scan.at(end)) {
    last = end;
    end += glyph.length;
  }
  return end < scan.end() && last > pos ? last : end;
}

/// \s*[\r\n]+ : up to the last line end of a run of spaces.
std::size_t spaces_to_newline(const Scan& scan, std::size_t pos) {
  std::size_t found = pos;
  for (Glyph glyph = scan.at(pos); glyph.is(C::space); glyph = scan.at(pos)) {
    pos += glyph.length;
    if (glyph.is(C::newline)) found = pos;
  }
  return found;
}

/// \p{N}{1,most}
std::size_t some_numbers(const Scan& scan, std::size_t pos, std::size_t most) {
  for (Glyph glyph = scan.at(pos); most > 0 && glyph.is(C::number); glyph = scan.at(pos), --most)
    pos += glyph.length;
  return pos;
}

/// ` ?[^excluded]+` followed by any of \r, \n and, if `slash`, /.
std::size_t other_signs(const Scan& scan, std::size_t pos, unsigned excluded, bool tail, bool slash) {
  const std::size_t begin = scan.byte(pos) == ' ' ? pos + 1 : pos;
  std::size_t end = scan.run_outside(begin, excluded);
  if (end == begin) return pos;
  while (tail && (scan.byte(end) == '\r' || scan.byte(end) == '\n' || (slash && scan.byte(end) == '/')))
    ++end;
  return end;
}

struct WordRule {
  bool contractions = true;
  std::size_t most_numbers = 1;
  unsigned word = C::letter;  ///< what a word is made of
  bool newline_tail = true;   ///< signs take the line ends behind them
};

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,k}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
std::size_t cl100k(const Scan& scan, std::size_t pos, const WordRule& rule) {
  if (rule.contractions) {
    if (const std::size_t end = contraction(scan, pos, true); end > pos) return end;
  }
  const Glyph first = scan.at(pos);
  if (first.is(rule.word)) return scan.run(pos, rule.word);
  if (!first.is(C::newline | C::letter | C::number)) {
    const std::size_t behind = pos + first.length;
    if (const std::size_t end = scan.run(behind, rule.word); end > behind) return end;
  }
  if (first.is(C::number)) return some_numbers(scan, pos, rule.most_numbers);
  const unsigned excluded = C::space | C::number | rule.word;
  if (const std::size_t end = other_signs(scan, pos, excluded, rule.newline_tail, false); end > pos)
    return end;
  if (const std::size_t end = spaces_to_newline(scan, pos); end > pos) return end;
  return spaces(scan, pos);
}

/// [upper]*[lower]+ , else [upper]+[lower]* ; the two classes share the letters without case and the marks.
std::size_t cased_word(const Scan& scan, std::size_t pos) {
  std::size_t upper_end = pos;
  std::size_t after_last_shared = pos;
  for (Glyph glyph = scan.at(upper_end); glyph.is(C::upper_like); glyph = scan.at(upper_end)) {
    upper_end += glyph.length;
    if (glyph.is(C::lower_like)) after_last_shared = upper_end;
  }
  if (const std::size_t end = scan.run(upper_end, C::lower_like); end > upper_end) return end;
  if (after_last_shared > pos) return after_last_shared;
  return upper_end;
}

/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(contraction)?
/// |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(contraction)?
/// |\p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
std::size_t o200k(const Scan& scan, std::size_t pos, bool contractions, std::size_t most_numbers) {
  const Glyph first = scan.at(pos);
  std::size_t end = pos;
  if (!first.is(C::newline | C::letter | C::number)) {
    const std::size_t behind = pos + first.length;
    end = cased_word(scan, behind);
    if (end == behind) end = pos;
  }
  if (end == pos) end = cased_word(scan, pos);
  if (end > pos) return contractions ? contraction(scan, end, true) : end;
  if (first.is(C::number)) return some_numbers(scan, pos, most_numbers);
  end = other_signs(scan, pos, C::space | C::letter | C::number, true, true);
  if (end > pos) return end;
  end = spaces_to_newline(scan, pos);
  return end > pos ? end : spaces(scan, pos);
}

bool is_one_of(char32_t code, std::u32string_view set) {
  return set.find(code) != std::u32string_view::npos;
}

struct Range {
  char32_t first, last;
};

template <std::size_t N>
bool in_ranges(const Range (&ranges)[N], char32_t code) {
  const Range* at =
      std::upper_bound(ranges, ranges + N, code, [](char32_t c, const Range& r) { return c < r.first; });
  return at != ranges && code <= std::prev(at)->last;
}

/// The cased letters as DeepSeek's tokenizer.json lists them (an older Unicode than ICU's).
constexpr Range kDeepseekLetters[] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
    {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
    {0x376, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},
    {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},
    {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},
    {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},
    {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},
    {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
    {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},
    {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},
    {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
    {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},
    {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},
    {0xA771, 0xA787},   {0xA78B, 0xA78E},   {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},
    {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
    {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};
constexpr Range kDeepseekPunctuation[] = {{0x21, 0x2F},     {0x3A, 0x7E},     {0x2018, 0x201F},
                                          {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}};
constexpr Range kDeepseekAsian[] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};
constexpr Range kDeepseek3Asian[] = {{0x3040, 0x30FF}, {0x4E00, 0x9FA5}};

/// \s?[ranges]+
template <class Fits>
Piece find_with_space(const char* text, std::size_t from, std::size_t limit, const Fits& fits) {
  return find(text, from, limit, [&fits](const Scan& scan, std::size_t pos) {
    // The optional space may itself be of the set (U+3000 is), hence the second try.
    const Glyph first = scan.at(pos);
    const std::size_t begin = first.is(C::space) ? pos + first.length : pos;
    const std::size_t end = scan.run_of(begin, fits);
    if (end > begin) return end;
    return scan.run_of(pos, fits);
  });
}

template <class Fits>
Piece find_run(const char* text, std::size_t from, std::size_t limit, const Fits& fits) {
  return find(text, from, limit,
              [&fits](const Scan& scan, std::size_t pos) { return scan.run_of(pos, fits); });
}

Piece find_class(const char* text, std::size_t from, std::size_t limit, unsigned mask, std::size_t most) {
  return find(text, from, limit, [mask, most](const Scan& scan, std::size_t pos) {
    std::size_t left = most;
    for (Glyph glyph = scan.at(pos); left > 0 && glyph.is(mask); glyph = scan.at(pos), --left)
      pos += glyph.length;
    return pos;
  });
}

Piece find_cl100k(const char* text, std::size_t from, std::size_t limit, const WordRule& rule) {
  return find(text, from, limit,
              [&rule](const Scan& scan, std::size_t pos) { return cl100k(scan, pos, rule); });
}

constexpr std::size_t kAny = SIZE_MAX;

}  // namespace

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
Piece gpt2(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) {
    if (const std::size_t end = contraction(scan, pos, false); end > pos) return end;
    const std::size_t begin = scan.byte(pos) == ' ' ? pos + 1 : pos;
    const Glyph first = scan.at(begin);
    if (first.is(C::letter)) return scan.run(begin, C::letter);
    if (first.is(C::number)) return scan.run(begin, C::number);
    if (first.exists() && !first.is(C::space))
      return scan.run_outside(begin, C::space | C::letter | C::number);
    return spaces(scan, pos);
  });
}

/// ` ?[^(\s|.,!?…。，、।۔،)]+`
Piece bloom(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) {
    const std::size_t begin = scan.byte(pos) == ' ' ? pos + 1 : pos;
    std::size_t end = begin;
    for (Glyph glyph = scan.at(end); glyph.exists() && !glyph.is(C::space); glyph = scan.at(end)) {
      if (is_one_of(scan.code(end), U"(|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)")) break;
      end += glyph.length;
    }
    return end > begin ? end : pos;
  });
}

Piece llama3(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {.most_numbers = 3});
}
Piece llama3_whole_numbers(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {.most_numbers = kAny});
}
Piece qwen2(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {});
}
Piece qwen2_without_contractions(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {.contractions = false});
}
/// Words are [\p{L}\p{M}]+.
Piece qwen35(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {.word = C::letter | C::mark});
}
/// Signs are ` ?[^\s\p{L}\p{N}\r\n]+`.
Piece seed_coder(const char* text, std::size_t from, std::size_t limit) {
  return find_cl100k(text, from, limit, {.newline_tail = false});
}

Piece tekken(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit,
              [](const Scan& scan, std::size_t pos) { return o200k(scan, pos, false, 1); });
}
Piece gpt4o(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) { return o200k(scan, pos, true, 3); });
}

/// \p{N}
Piece one_number(const char* text, std::size_t from, std::size_t limit) {
  return find_class(text, from, limit, C::number, 1);
}
/// \p{N}{1,3}
Piece up_to_three_numbers(const char* text, std::size_t from, std::size_t limit) {
  return find_class(text, from, limit, C::number, 3);
}
/// \p{N}+
Piece numbers(const char* text, std::size_t from, std::size_t limit) {
  return find_class(text, from, limit, C::number, kAny);
}
/// [0-9][0-9][0-9]
Piece three_ascii_digits(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) {
    const auto digit = [&scan](std::size_t at) { return scan.byte(at) >= '0' && scan.byte(at) <= '9'; };
    return digit(pos) && digit(pos + 1) && digit(pos + 2) ? pos + 3 : pos;
  });
}

/// [\p{P}\$\+<=>\^~\|`]+
Piece falcon_punctuation(const char* text, std::size_t from, std::size_t limit) {
  const std::uint16_t* classes = char_classes();
  return find_run(text, from, limit, [classes](char32_t code) {
    return (classes[code] & C::punctuation) != 0 || is_one_of(code, U"$+<=>^~|`");
  });
}
/// [\p{P}\$\+<=>\^~\|]+
Piece default_punctuation(const char* text, std::size_t from, std::size_t limit) {
  const std::uint16_t* classes = char_classes();
  return find_run(text, from, limit, [classes](char32_t code) {
    return (classes[code] & C::punctuation) != 0 || is_one_of(code, U"$+<=>^~|");
  });
}

/// [\r\n]
Piece one_newline(const char* text, std::size_t from, std::size_t limit) {
  return find_class(text, from, limit, C::newline, 1);
}
/// [^\n]+|[\n]+
Piece lines_and_newlines(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) {
    const bool newline = scan.byte(pos) == '\n';
    while (pos < scan.end() && (scan.byte(pos) == '\n') == newline) ++pos;
    return pos;
  });
}

/// \s?[A-Za-zµÀ-Ö...]+
Piece deepseek_cased_letters(const char* text, std::size_t from, std::size_t limit) {
  return find_with_space(text, from, limit, [](char32_t code) { return in_ranges(kDeepseekLetters, code); });
}
/// \s?[!-/:-~！-／：-～‘-‟　-。]+
Piece deepseek_punctuation(const char* text, std::size_t from, std::size_t limit) {
  return find_with_space(text, from, limit,
                         [](char32_t code) { return in_ranges(kDeepseekPunctuation, code); });
}
/// \s+$
Piece deepseek_trailing_space(const char* text, std::size_t from, std::size_t limit) {
  // Whole runs are skipped: trying each of their characters would cost the square of the run.
  const Scan scan(text, limit);
  for (std::size_t pos = from; pos < limit;) {
    const std::size_t begin = scan.run_outside(pos, C::space);
    pos = scan.run(begin, C::space);
    if (pos == limit && pos > begin) return {begin, limit};
  }
  return {limit, limit};
}
/// [一-龥ࠀ-一가-퟿]+
Piece deepseek_asian(const char* text, std::size_t from, std::size_t limit) {
  return find_run(text, from, limit, [](char32_t code) { return in_ranges(kDeepseekAsian, code); });
}
/// \s?\p{L}+
Piece deepseek_coder_letters(const char* text, std::size_t from, std::size_t limit) {
  const std::uint16_t* classes = char_classes();
  return find_with_space(text, from, limit,
                         [classes](char32_t code) { return (classes[code] & C::letter) != 0; });
}
/// \s?\p{P}+
Piece deepseek_coder_punctuation(const char* text, std::size_t from, std::size_t limit) {
  const std::uint16_t* classes = char_classes();
  return find_with_space(text, from, limit,
                         [classes](char32_t code) { return (classes[code] & C::punctuation) != 0; });
}

/// [一-龥぀-ゟ゠-ヿ]+
Piece deepseek3_asian(const char* text, std::size_t from, std::size_t limit) {
  return find_run(text, from, limit, [](char32_t code) { return in_ranges(kDeepseek3Asian, code); });
}
/// [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
/// ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
Piece deepseek3_words(const char* text, std::size_t from, std::size_t limit) {
  return find(text, from, limit, [](const Scan& scan, std::size_t pos) {
    const auto letter = [](char32_t code) {
      return (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z');
    };
    const Glyph first = scan.at(pos);
    const std::size_t behind = pos + first.length;
    if (first.length == 1 && first.is(C::punctuation | C::symbol)) {
      if (const std::size_t end = scan.run_of(behind, letter); end > behind) return end;
    }
    if (!first.is(C::newline | C::letter | C::punctuation | C::symbol)) {
      if (const std::size_t end = scan.run(behind, C::letter | C::mark); end > behind) return end;
    }
    if (const std::size_t end = scan.run(pos, C::letter | C::mark); end > pos) return end;
    const std::size_t signs = scan.byte(pos) == ' ' ? pos + 1 : pos;
    if (std::size_t end = scan.run(signs, C::punctuation | C::symbol); end > signs)
      return scan.run(end, C::newline);
    if (const std::size_t end = spaces_to_newline(scan, pos); end > pos) return end;
    return spaces(scan, pos);
  });
}

}  // namespace troupe::pre_tokenizer_stages
