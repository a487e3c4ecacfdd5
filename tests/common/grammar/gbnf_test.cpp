#include "common/grammar/gbnf.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

bool full(const std::string& rules, std::string_view text) {
  return matches({Kind::gbnf, rules}, text);
}

TEST(Gbnf, LiteralsAlternativesAndRepetitions) {
  const std::string rules = "root ::= \"a\" (\"b\" | \"c\")* [0-9]+ \"!\"?\n";
  EXPECT_TRUE(full(rules, "abcb12!"));
  EXPECT_TRUE(full(rules, "a1"));
  EXPECT_FALSE(full(rules, "ab"));
  EXPECT_TRUE(full("root ::= [^\"\\\\x]{2,3}", "ab"));
  EXPECT_FALSE(full("root ::= [^\"\\\\x]{2,3}", "ax"));
  EXPECT_TRUE(full("root ::= \"\\u65e5\" \"\\x41\" \"\\n\" .", "日A\né"));
}

TEST(Gbnf, ArithmeticAsItsManualHasIt) {
  const std::string rules = R"g(# expressions
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws   # a name
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)g";
  EXPECT_TRUE(full(rules, "a1 +(b*2)=3\n"));
  EXPECT_TRUE(full(rules, "((((1))))=x\n"));
  EXPECT_FALSE(full(rules, "a+(b=3\n"));
}

TEST(Gbnf, RulesGoOnBehindABarAndInBrackets) {
  EXPECT_TRUE(full("root ::= \"a\" |\n  \"b\"\n", "b"));
  EXPECT_TRUE(full("root ::= \"a\"\n  | \"b\"\n", "b"));
  EXPECT_TRUE(full("root ::=\n (\n \"a\" # one\n \"b\"\n )\nother ::= \"x\"", "ab"));
}

TEST(Gbnf, RightRecursionNeedsNoFrames) {
  const auto automaton = automaton_of({Kind::gbnf, "root ::= \"<\" ws \">\"\nws ::= ([ \\t\\n] ws)?"});
  EXPECT_TRUE(matches(*automaton, between('<', 20000, ' ', '>')));
  EXPECT_LT(automaton->states(), 30u);
}

TEST(Gbnf, LeftRecursionIsRefusedByName) {
  EXPECT_NE(error_of({Kind::gbnf, "root ::= sum\nsum ::= sum \"+\" num | num\nnum ::= [0-9]"}).find("'sum'"),
            std::string::npos);
  EXPECT_NE(
      error_of({Kind::gbnf, "root ::= maybe root \"x\" | \"y\"\nmaybe ::= \"a\"?"}).find("left recursion"),
      std::string::npos);
}

TEST(Gbnf, RefusesMistakesAndNamesTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no rule 'root'"},
      {"x ::= \"a\"", "no rule 'root'"},
      {"root ::= other", "'other' is used and not defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "defined twice"},
      {"root ::= \"a", "without an end"},
      {"root ::= [a", "without an end"},
      {"root ::= (\"a\"", "expected ')'"},
      {"root := \"a\"", "expected '::='"},
      {"\n\nroot ::= \"a\" }", "line 3"},
      {"root ::= \"a\"{3,1}", "count"},
      {"root ::= \"\\q\"", "escape"},
      {"root ::= <think>", "tokens"},
      {"root ::= \"x\" root", "no text matches"},
  };
  for (const auto& [rules, what] : cases) {
    const std::string error = error_of({Kind::gbnf, rules});
    EXPECT_NE(error.find(what), std::string::npos) << rules << ": " << error;
  }
}

}  // namespace
}  // namespace troupe::grammar
