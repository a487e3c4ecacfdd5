#include "services/bench/text.hpp"

#include <array>
#include <cctype>
#include <string_view>

namespace troupe::load {
namespace {

constexpr std::array<std::string_view, 128> kWords{
    "the",    "of",      "and",    "to",      "in",     "is",      "that",   "for",    "it",     "as",
    "was",    "with",    "be",     "by",      "on",     "not",     "he",     "this",   "are",    "or",
    "his",    "from",    "at",     "which",   "but",    "have",    "an",     "had",    "they",   "you",
    "were",   "their",   "one",    "all",     "we",     "can",     "her",    "has",    "there",  "been",
    "if",     "more",    "when",   "will",    "would",  "who",     "so",     "no",     "she",    "other",
    "its",    "may",     "these",  "what",    "them",   "than",    "some",   "him",    "time",   "into",
    "only",   "do",      "such",   "my",      "new",    "about",   "out",    "also",   "two",    "any",
    "up",     "first",   "could",  "our",     "then",   "most",    "see",    "me",     "should", "after",
    "water",  "house",   "city",   "river",   "story",  "market",  "paper",  "music",  "road",   "garden",
    "winter", "morning", "animal", "doctor",  "school", "teacher", "letter", "window", "island", "bridge",
    "forest", "engine",  "number", "people",  "world",  "country", "family", "money",  "system", "question",
    "small",  "large",   "early",  "young",   "strong", "public",  "simple", "clear",  "common", "several",
    "found",  "called",  "made",   "between", "under",  "through", "before", "against"};

constexpr std::array<std::string_view, 8> kTypes{"int",  "float", "string", "bool",
                                                 "List", "Map",   "Node",   "Item"};

}  // namespace

std::string word(Random& random) {
  return std::string(kWords[random.below(kWords.size())]);
}

std::string prose(Random& random, std::size_t tokens) {
  std::string text;
  text.reserve(tokens * 6 + 8);
  std::size_t left_in_sentence = 0;
  for (std::size_t made = 0; made < tokens || made == 0; ++made) {
    std::string next = word(random);
    if (left_in_sentence == 0) {
      if (!text.empty()) text += '.';
      ++made;  // the full stop is a token too
      left_in_sentence = random.between(7, 15);
      next[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(next[0])));
    }
    --left_in_sentence;
    if (!text.empty()) text += ' ';
    text += next;
  }
  return text + '.';
}

std::string code(Random& random, std::size_t tokens) {
  constexpr std::size_t kTokensOfAFunction = 42;
  std::string text;
  for (std::size_t made = 0; made < tokens || made == 0; made += kTokensOfAFunction) {
    const std::string name = word(random) + "_" + word(random);
    const std::string type(kTypes[random.below(kTypes.size())]);
    const std::string limit = std::to_string(random.between(2, 99));
    text += type + " " + name + "(const " + type + "& value, int limit) {\n  int count = 0;\n";
    text += "  for (int i = 0; i < limit; ++i) {\n    if (value > " + limit + ") count += i;\n  }\n";
    text += "  return count;\n}\n\n";
  }
  return text;
}

}  // namespace troupe::load
