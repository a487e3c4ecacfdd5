#pragma once
// Grammars over a small vocabulary: every byte, some pieces that JSON is made of, and an end token without a
// text.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/grammar/matcher.hpp"

namespace troupe::grammar {

inline std::shared_ptr<const TokenTrie> small_vocabulary() {
  static const auto kTrie = [] {
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
    for (const char* piece :
         {"{\"",  "\":",   "\": ", "\",",  "\", \"", "\"}", "{}",  "[]",   "],",       "}}",  "[{\"",
          "true", "false", "null", "name", "ab",     "abc", "aab", "12",   "123",      "0.5", " a",
          " the", "  ",    "\n  ", "\n",   "\\\"",   "\\u", "é",   "日本", "\xE6\x97", "-1",  "2024-",
          "a\"",  "5,",    "5}",   "1]",   "\"\"",   "-",   "yes", "no"})
      texts.emplace_back(piece);
    texts.emplace_back();  // the last: special
    return std::make_shared<const TokenTrie>(std::move(texts));
  }();
  return kTrie;
}

/// Fails the test when it does not compile.
inline std::shared_ptr<Automaton> automaton_of(const Source& source, const AutomatonLimits& limits = {}) {
  auto made = compile(source);
  EXPECT_TRUE(made.has_value()) << source.text << ": " << (made ? "" : made.error().detail);
  return made ? std::make_shared<Automaton>(*made, small_vocabulary(), limits) : nullptr;
}

/// `count` times the same between two characters.
inline std::string between(char open, std::size_t count, char inner, char close) {
  std::string text(count + 2, inner);
  text.front() = open;
  text.back() = close;
  return text;
}

/// "": it compiles.
inline std::string error_of(const Source& source) {
  const auto made = compile(source);
  return made ? std::string() : made.error().detail;
}

inline Automaton::State read(Automaton& automaton, std::string_view text) {
  Automaton::State state = automaton.start();
  for (const char c : text) state = automaton.step(state, static_cast<std::uint8_t>(c));
  return state;
}

inline bool matches(Automaton& automaton, std::string_view text) {
  return automaton.ends(read(automaton, text));
}
inline bool matches(const Source& source, std::string_view text) {
  const auto automaton = automaton_of(source);
  return automaton != nullptr && matches(*automaton, text);
}

inline bool allows(std::span<const std::uint64_t> mask, TokenId token) {
  return (mask[static_cast<std::size_t>(token) / 64] >> (token % 64) & 1) != 0;
}

/// Tokens drawn from the masks, those that close something preferred, until the text is whole or `most` are
/// drawn. Whole texts only: else nullopt.
template <class Random>
std::optional<std::string> walk(const std::shared_ptr<Automaton>& automaton, Random& random, int most = 300) {
  Matcher matcher(automaton);
  std::string text;
  const TokenTrie& vocabulary = automaton->vocabulary();
  for (int i = 0; i < most; ++i) {
    if (matcher.may_end() && (matcher.complete() || random() % 4 == 0)) return text;
    const auto mask = matcher.mask();
    std::vector<TokenId> all, closing;
    for (TokenId token = 0; token < static_cast<TokenId>(vocabulary.vocab()); ++token) {
      if (!allows(mask, token)) continue;
      all.push_back(token);
      if (std::string("\"}]e").find(vocabulary.bytes(token).back()) != std::string::npos)
        closing.push_back(token);
    }
    if (all.empty()) return std::nullopt;
    const auto& from = !closing.empty() && random() % 2 == 0 ? closing : all;
    const TokenId token = from[random() % from.size()];
    EXPECT_TRUE(matcher.accept(token));
    text += vocabulary.bytes(token);
  }
  return std::nullopt;
}

}  // namespace troupe::grammar
