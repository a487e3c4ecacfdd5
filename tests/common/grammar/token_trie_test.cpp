#include "common/grammar/token_trie.hpp"

#include <gtest/gtest.h>

#include <map>

namespace troupe::grammar {
namespace {

TEST(TokenTrie, HoldsEveryTextOnceInPreorder) {
  const std::vector<std::string> texts = {"b", "abc", "", "a", "ab", "abd", "a", "\xFF", "b\x01"};
  const TokenTrie trie(texts);
  EXPECT_EQ(trie.vocab(), texts.size());
  EXPECT_EQ(trie.longest(), 3u);
  EXPECT_EQ(trie.bytes(1), "abc");
  std::map<TokenId, std::string> found;
  std::vector<std::string> path(trie.longest() + 1);
  for (std::uint32_t node = 1; node < trie.nodes(); ++node) {
    const std::uint32_t depth = trie.depth(node);
    path[depth] = path[depth - 1] + static_cast<char>(trie.byte(node));
    EXPECT_GT(trie.end(node), node);
    for (const TokenId token : trie.tokens(node)) found[token] = path[depth];
  }
  for (std::size_t id = 0; id < texts.size(); ++id)
    EXPECT_EQ(found.count(static_cast<TokenId>(id)), texts[id].empty() ? 0u : 1u);
  for (const auto& [id, text] : found) EXPECT_EQ(text, texts[static_cast<std::size_t>(id)]);
  EXPECT_EQ(trie.end(0), trie.nodes());
}

TEST(TokenTrie, SplitsATextIntoTheLongestTokens) {
  const TokenTrie trie({"a", "ab", "abcd", "b", "c", ""});
  EXPECT_EQ(trie.split("abcabcda"), (std::vector<TokenId>{1, 4, 2, 0}));
  EXPECT_EQ(trie.split("baXa"), (std::vector<TokenId>{3, 0})) << "no token begins with X";
  EXPECT_TRUE(trie.split("").empty());
  const TokenTrie blanks({"\n", "\n ", "\n  ", " ", "  ", "a", " a"});
  EXPECT_EQ(blanks.split("\n  a"), (std::vector<TokenId>{1, 6})) << "the last blank goes with the word";
  EXPECT_EQ(blanks.split("\n  "), (std::vector<TokenId>{2}));
  EXPECT_EQ(blanks.split(" a"), (std::vector<TokenId>{6}));
}

TEST(TokenTrie, MayBeEmpty) {
  const TokenTrie trie({"", ""});
  EXPECT_EQ(trie.nodes(), 1u);
  EXPECT_EQ(trie.mask_words(), 1u);
}

}  // namespace
}  // namespace troupe::grammar
