#include "common/tokenizer/special_tokens.hpp"

#include <algorithm>
#include <cctype>

namespace troupe {
namespace {

struct Strip {
  bool left = false, right = false;
};

/// Files do not carry these flags of tokenizer.json, so they are known by family.
Strip strip_of(std::string_view text, std::string_view file_name, std::string_view pre_name) {
  std::string name(file_name);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos)
    return {.right = text != "<unk>" && text != "<s>" && text != "<|endoftext|>"};
  if (pre_name.starts_with("jina-v2-")) return {.left = text == "<mask>"};
  if (name.find("modern-bert") != std::string::npos) return {.left = text == "[MASK]"};
  return {};
}

bool looks_like_marker(std::string_view text) {
  return text.size() > 4 && text.front() == '<' && text.back() == '>' &&
         (text[1] == '|' || text[text.size() - 2] == '|');
}

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

unsigned char byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

}  // namespace

void SpecialTokenFinder::Set::build() {
  std::ranges::stable_sort(entries, {}, &Entry::text);
  const auto repeated = std::ranges::unique(entries, {}, &Entry::text);
  entries.erase(repeated.begin(), repeated.end());
  for (const Entry& entry : entries) ++first[byte_at(entry.text, 0) + 1U];
  for (std::size_t byte = 1; byte < first.size(); ++byte) first[byte] += first[byte - 1];
}

const SpecialTokenFinder::Entry* SpecialTokenFinder::Set::longest_at(std::string_view text,
                                                                     std::size_t at, bool* cut_off) const {
  // Sorted order puts a prefix first; each further byte narrows the range of entries that still agree.
  const unsigned char lead = byte_at(text, at);
  auto low = entries.begin() + first[lead];
  auto high = entries.begin() + first[lead + 1U];
  const Entry* best = nullptr;
  for (std::size_t depth = 1; low != high; ++depth) {
    if (low->text.size() == depth) best = &*low++;
    if (at + depth >= text.size()) {
      if (cut_off != nullptr) *cut_off = low != high;
      break;
    }
    const unsigned char next = byte_at(text, at + depth);
    low = std::partition_point(low, high, [&](const Entry& e) { return byte_at(e.text, depth) < next; });
    high = std::partition_point(low, high, [&](const Entry& e) { return byte_at(e.text, depth) == next; });
  }
  return best;
}

SpecialTokenFinder::SpecialTokenFinder(const Vocabulary& vocabulary, std::string_view file_name,
                                       std::string_view pre_name) {
  for (TokenId id = 0; vocabulary.contains(id); ++id) {
    const std::string_view text = vocabulary.spelling(id);
    const bool user_defined = vocabulary.kind(id) == TokenKind::user_defined;
    if (text.empty() || !(user_defined || vocabulary.is_special(id))) continue;
    const Strip strip = strip_of(text, file_name, pre_name);
    const Entry entry{std::string(text), id, strip.left, strip.right};
    if (user_defined && !looks_like_marker(text)) always_.entries.push_back(entry);
    all_.entries.push_back(entry);
  }
  always_.build();
  all_.build();
}

std::optional<SpecialTokenFinder::Match> SpecialTokenFinder::find(std::string_view text, std::size_t from,
                                                                  SpecialTokens special) const {
  const Set& set = special == SpecialTokens::parse ? all_ : always_;
  if (set.entries.empty()) return std::nullopt;
  for (std::size_t at = from; at < text.size(); ++at) {
    const unsigned char lead = byte_at(text, at);
    if (set.first[lead] == set.first[lead + 1U]) continue;
    const Entry* entry = set.longest_at(text, at);
    if (entry == nullptr) continue;
    Match match{at, at + entry->text.size(), entry->id};
    while (entry->strip_left && match.begin > from && is_space(text[match.begin - 1])) --match.begin;
    while (entry->strip_right && match.end < text.size() && is_space(text[match.end])) ++match.end;
    return match;
  }
  return std::nullopt;
}

bool SpecialTokenFinder::control_starts(std::string_view text, std::size_t at) const {
  bool cut_off = false;
  const Entry* any = all_.longest_at(text, at, &cut_off);
  if (cut_off) return true;
  if (any == nullptr) return false;
  const Entry* free = always_.longest_at(text, at);
  return free == nullptr || free->id != any->id;
}

}  // namespace troupe
