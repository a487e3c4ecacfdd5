#include "common/base/error.hpp"

#include <set>

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(ErrorTable, NumbersAndNamesAreUniqueAndEverySentenceEnds) {
  std::set<int> numbers;
  std::set<std::string> names;
  int rows = 0;
#define X(name, number, http, retry, sentence)                                    \
  ++rows;                                                                         \
  numbers.insert(number);                                                         \
  names.insert(#name);                                                            \
  EXPECT_EQ(std::string(sentence).back(), '.') << #name;                          \
  EXPECT_TRUE((http) >= 400 && (http) < 600) << #name;                            \
  EXPECT_EQ(errc_from_number(number), Errc::name);
#include "common/base/error_codes.def"
#undef X
  EXPECT_EQ(numbers.size(), static_cast<std::size_t>(rows));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(rows));
}

TEST(ErrorTable, AnUnknownNumberIsNotAnError) {
  EXPECT_FALSE(errc_from_number(9999).has_value());
  EXPECT_EQ(http_status(static_cast<Errc>(9999)), 500);
}

TEST(Error, PrintsItsNameAndDetail) {
  EXPECT_EQ(to_string(Error{Errc::queue_full, "64 of 64"}), "queue_full: 64 of 64");
  EXPECT_EQ(to_string(Error{Errc::draining, ""}), "draining");
}

TEST(Error, TryReturnsTheFirstFailure) {
  const auto inner = [](bool ok) -> Expected<int> {
    if (ok) return 1;
    return fail(Errc::not_found, "x");
  };
  const auto outer = [&](bool ok) -> Expected<int> {
    TROUPE_TRY(inner(ok));
    return 2;
  };
  EXPECT_EQ(outer(true).value(), 2);
  EXPECT_EQ(outer(false).error().code, Errc::not_found);
}

TEST(CheckDeathTest, EndsTheProcessWithItsMessage) {
  EXPECT_DEATH(TROUPE_CHECK(1 == 2, "arithmetic"), "arithmetic");
}

}  // namespace
}  // namespace troupe
