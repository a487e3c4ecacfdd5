#include "common/grammar/grammar_cache.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

TEST(GrammarCache, KeepsTheLastOnesAskedFor) {
  GrammarCache cache(small_vocabulary(), 2);
  const Source a{Kind::regex, "a"}, b{Kind::regex, "b"}, c{Kind::regex, "c"};
  const auto first = *cache.find(a);
  (void)*cache.find(b);
  EXPECT_EQ(*cache.find(a), first);
  (void)*cache.find(c);  // b was asked for longest ago
  EXPECT_EQ(*cache.find(a), first);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_NE((*cache.find({Kind::choice, "[\"a\"]"})), first);
}

TEST(GrammarCache, DoesNotKeepMistakes) {
  GrammarCache cache(small_vocabulary());
  EXPECT_FALSE(cache.find({Kind::regex, "("}));
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace troupe::grammar
