#include "common/grammar/json_numbers.hpp"

#include <nlohmann/json.hpp>

#include <random>

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

std::string schema(const char* type, const std::string& bounds) {
  return std::string(R"({"type":")") + type + "\"," + bounds + "}";
}

TEST(JsonNumbers, IntegersBetweenBoundsAreExactlyThose) {
  std::mt19937 random(2);
  for (int round = 0; round < 40; ++round) {
    const int a = static_cast<int>(random() % 2400) - 1200, b = a + static_cast<int>(random() % 1500);
    const auto automaton =
        automaton_of({Kind::json_schema, schema("integer", "\"minimum\":" + std::to_string(a) +
                                                               ",\"maximum\":" + std::to_string(b))});
    for (int value = -1400; value <= 3000; value += round % 2 == 0 ? 1 : 7)
      ASSERT_EQ(matches(*automaton, std::to_string(value)), a <= value && value <= b)
          << value << " in " << a << ".." << b;
    EXPECT_FALSE(matches(*automaton, "007"));
  }
}

TEST(JsonNumbers, FractionsBetweenBoundsAreExactlyThose) {
  const std::pair<double, double> bounds[] = {{0.1, 0.35},   {-1.5, 2.25}, {0, 1},   {-0.05, -0.001},
                                              {9.99, 10.01}, {2.5, 2.5},   {-3, -3}, {0.125, 100}};
  for (const auto& [low, high] : bounds) {
    const std::string a = nlohmann::json(low).dump(), b = nlohmann::json(high).dump();
    const auto closed =
        automaton_of({Kind::json_schema, schema("number", "\"minimum\":" + a + ",\"maximum\":" + b)});
    for (int milli = -4000; milli <= 12000; ++milli) {
      const double value = milli / 1000.0;
      const std::string text = nlohmann::json(value).dump();
      ASSERT_EQ(matches(*closed, text), low <= value && value <= high && text != "-0.0")
          << text << " in " << a << ".." << b;
    }
    if (low == high) continue;
    const auto open = automaton_of(
        {Kind::json_schema, schema("number", "\"exclusiveMinimum\":" + a + ",\"exclusiveMaximum\":" + b)});
    for (int milli = -4000; milli <= 12000; ++milli) {
      const double value = milli / 1000.0;
      ASSERT_EQ(matches(*open, nlohmann::json(value).dump()), low < value && value < high) << value;
    }
  }
}

TEST(JsonNumbers, OneBoundIsEnough) {
  const auto high = automaton_of({Kind::json_schema, R"({"type":"integer","exclusiveMaximum":-3})"});
  EXPECT_TRUE(matches(*high, "-4"));
  EXPECT_TRUE(matches(*high, "-999999999999999"));
  EXPECT_FALSE(matches(*high, "-3"));
  EXPECT_FALSE(matches(*high, "0"));
  const auto low = automaton_of({Kind::json_schema, R"({"type":"number","minimum":1e3})"});
  EXPECT_TRUE(matches(*low, "1000"));
  EXPECT_TRUE(matches(*low, "1000.5"));
  EXPECT_FALSE(matches(*low, "999.999"));
}

TEST(JsonNumbers, ReadsDecimals) {
  const auto decimal = *parse_decimal("-12.3400e1");
  EXPECT_TRUE(decimal.negative);
  EXPECT_EQ(decimal.whole, 123u);
  EXPECT_EQ(decimal.fraction, "4");
  EXPECT_EQ(parse_decimal("1e-05")->fraction, "00001");
  EXPECT_TRUE(parse_decimal("0.0")->is_zero());
  EXPECT_FALSE(parse_decimal("1e20").has_value());
  EXPECT_FALSE(parse_decimal("1e999999999999").has_value());
}

TEST(JsonNumbers, NoNumberMeansNoText) {
  EXPECT_NE(
      error_of({Kind::json_schema, R"({"type":"integer","minimum":3,"maximum":2})"}).find("no text matches"),
      std::string::npos);
  EXPECT_NE(error_of({Kind::json_schema, R"({"type":"integer","exclusiveMinimum":2,"exclusiveMaximum":3})"})
                .find("no text matches"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe::grammar
