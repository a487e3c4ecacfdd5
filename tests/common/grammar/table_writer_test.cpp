#include "common/grammar/table_writer.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

TEST(TableWriter, LeavesOutWhatLeadsNowhere) {
  Builder builder;
  const Rule endless = builder.add_rule("endless");
  builder.define(endless, builder.sequence({builder.literal("x"), builder.call(endless)}));
  const Rule root = builder.add_rule("root");
  builder.define(root, builder.choice({builder.literal("a"),
                                       builder.sequence({builder.literal("b"), builder.call(endless)})}));
  const auto grammar = builder.finish(root, {});
  ASSERT_TRUE(grammar);
  Automaton automaton(*grammar, small_vocabulary());
  EXPECT_TRUE(matches(automaton, "a"));
  EXPECT_EQ(read(automaton, "b"), Automaton::kDead) << "no text goes on from there";
}

TEST(TableWriter, ACallAtTheEndIsALastOne) {
  Builder builder;
  const Rule digits = builder.add_rule("digits");
  builder.define(digits,
                 builder.sequence({builder.byte_range('0', '9'), builder.optional(builder.call(digits))}));
  const Rule root = builder.add_rule("root");
  builder.define(root, builder.sequence({builder.call(digits), builder.literal(";")}));
  const auto grammar = *builder.finish(root, {});
  int last = 0, framed = 0;
  for (RuleState state = 0; state < grammar->states(); ++state)
    for (const Grammar::Call& call : grammar->calls(state)) ++(call.last ? last : framed);
  EXPECT_EQ(last, 1);
  EXPECT_EQ(framed, 1);
}

TEST(TableWriter, CountsAreToldFromStates) {
  Builder builder;
  const Rule one = builder.add_rule("one");
  builder.define(one, builder.byte_range('a', 'z'));
  const Rule root = builder.add_rule("root");
  builder.define(root, builder.sequence({builder.literal("<"), builder.repeat(builder.call(one), 2, 5),
                                         builder.literal(">")}));
  const auto grammar = *builder.finish(root, {});
  std::uint32_t counted = 0;
  for (RuleState state = 0; state < grammar->states(); ++state) {
    const Grammar::Counted* at = grammar->counted(state);
    if (at == nullptr) continue;
    ++counted;
    EXPECT_EQ(at->least, 2u);
    EXPECT_EQ(at->most, 5u);
    EXPECT_EQ(grammar->calls(state).empty(), state - at->first == 5) << "five are the most";
  }
  EXPECT_EQ(counted, 6u);
  Automaton automaton(grammar, small_vocabulary());
  for (std::size_t n = 0; n < 8; ++n)
    EXPECT_EQ(matches(automaton, between('<', n, 'q', '>')), n >= 2 && n <= 5) << n;
}

TEST(TableWriter, RefusesTooManyRulesAndStates) {
  Limits limits;
  limits.rules = 2;
  limits.states = 50;
  Builder builder;
  for (int i = 0; i < 3; ++i) (void)builder.add_rule("r");
  EXPECT_FALSE(builder.finish(0, limits));
  Builder large;
  const Rule root = large.add_rule("root");
  large.define(root, large.repeat(large.literal("abc"), 0, 1000));
  EXPECT_FALSE(large.finish(root, limits));
}

}  // namespace
}  // namespace troupe::grammar
