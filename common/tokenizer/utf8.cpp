#include "common/tokenizer/utf8.hpp"

#include <cstring>

namespace troupe::utf8 {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What the second byte may be, by the lead byte (table 3-7); `count` is the whole sequence, 0 for a bad
/// lead.
struct LeadRule {
  std::uint8_t count, second_low, second_high;
};

LeadRule lead_rule(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

std::size_t ascii_prefix(std::string_view text, std::size_t from) {
  while (from + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + from, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
    from += 8;
  }
  while (from < text.size() && static_cast<unsigned char>(text[from]) < 0x80) ++from;
  return from;
}

}  // namespace

Step step(std::string_view text) {
  const LeadRule rule = lead_rule(static_cast<unsigned char>(text[0]));
  if (rule.count == 0) return {StepKind::invalid, 1};
  for (std::uint8_t i = 1; i < rule.count; ++i) {
    if (i >= text.size()) return {StepKind::incomplete, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool fits = i == 1 ? byte >= rule.second_low && byte <= rule.second_high : (byte & 0xC0) == 0x80;
    if (!fits) return {StepKind::invalid, i};
  }
  return {StepKind::character, rule.count};
}

std::optional<std::size_t> first_invalid(std::string_view text) {
  std::size_t at = 0;
  while ((at = ascii_prefix(text, at)) < text.size()) {
    const Step found = step(text.substr(at));
    if (found.kind != StepKind::character) return at;
    at += found.length;
  }
  return std::nullopt;
}

void drain(std::string& pending, std::string& out) {
  std::size_t at = 0;
  while (at < pending.size()) {
    const std::string_view rest = std::string_view(pending).substr(at);
    const Step found = step(rest);
    if (found.kind == StepKind::incomplete) break;
    out += found.kind == StepKind::character ? rest.substr(0, found.length) : kReplacement;
    at += found.length;
  }
  pending.erase(0, at);
}

std::string with_replacements(std::string_view text) {
  if (!first_invalid(text)) return std::string(text);
  std::string pending(text);
  std::string out;
  out.reserve(text.size());
  drain(pending, out);
  if (!pending.empty()) out += kReplacement;
  return out;
}

void append(std::string& out, char32_t code) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)),
        put(0x80 | (code & 0x3F));
  }
}

}  // namespace troupe::utf8
