#include "common/config/value.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace troupe {
namespace {

using namespace std::chrono_literals;

TEST(Value, ReadsBytesWithUnits) {
  EXPECT_EQ(parse_bytes("0")->value, 0U);
  EXPECT_EQ(parse_bytes("17")->value, 17U);
  EXPECT_EQ(parse_bytes("2GiB")->value, 2ULL << 30);
  EXPECT_EQ(parse_bytes("1.5 KiB")->value, 1536U);
  EXPECT_EQ(parse_bytes("3MB")->value, 3'000'000U);
}

TEST(Value, RefusesBadBytes) {
  for (const char* bad : {"", "GiB", "-1", "2gib", "1e3", "2GiBs", "9999999TiB", "99999999999999999999",
                          "1..5KiB", ".5KiB", "nan"})
    EXPECT_EQ(parse_bytes(bad).error().code, Errc::config_invalid) << bad;
}

TEST(Value, ReadsDurationsWithUnits) {
  EXPECT_EQ(*parse_duration("500ms"), 500ms);
  EXPECT_EQ(*parse_duration("10min"), 10min);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("0"), 0s);
}

TEST(Value, RefusesADurationWithoutUnit) {
  for (const char* bad : {"30", "", "s", "-1s", "1m", "99999999999h"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
  EXPECT_NE(parse_duration("30").error().detail.find("found \"30\", expected a time with its unit"),
            std::string::npos);
}

TEST(Value, FormatsWithTheLargestUnitThatDivides) {
  EXPECT_EQ(format_bytes({2ULL << 30}), "2GiB");
  EXPECT_EQ(format_bytes({1536}), "1536B");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(2h), "2h");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
}

TEST(Value, FormattedTextReadsBackToTheSameValue) {
  const std::array<std::pair<OptionType, Value>, 9> cases{
      {{OptionType::boolean, true},
       {OptionType::integer, std::int64_t{-7}},
       {OptionType::integer, std::numeric_limits<std::int64_t>::min()},
       {OptionType::real, 0.1},
       {OptionType::bytes, ByteCount{12345}},
       {OptionType::bytes, ByteCount{}},
       {OptionType::duration, Duration(1'000'000'001)},
       {OptionType::text, std::string("a b")},
       {OptionType::text_list, TextList{"x", "y"}}}};
  for (const auto& [type, value] : cases) {
    const auto back = parse_value(type, format_value(value));
    ASSERT_TRUE(back) << format_value(value);
    EXPECT_EQ(*back, value) << format_value(value);
  }
}

TEST(Value, RefusesWhatIsNotItsType) {
  EXPECT_FALSE(parse_value(OptionType::integer, "8o80"));
  EXPECT_FALSE(parse_value(OptionType::integer, "99999999999999999999"));
  EXPECT_FALSE(parse_value(OptionType::real, "inf"));
  EXPECT_FALSE(parse_value(OptionType::boolean, "maybe"));
}

TEST(Value, NamesTheChoices) {
  constexpr std::array<std::string_view, 2> kChoices{"fast", "reference"};
  EXPECT_EQ(std::get<std::string>(*parse_value(OptionType::choice, "fast", kChoices)), "fast");
  EXPECT_EQ(parse_value(OptionType::choice, "slow", kChoices).error().detail,
            "found \"slow\", expected one of fast|reference");
}

TEST(Value, ShortensAHugeTextInItsError) {
  EXPECT_LT(parse_value(OptionType::integer, std::string(1'000'000, 'x')).error().detail.size(), 200U);
}

}  // namespace
}  // namespace troupe
