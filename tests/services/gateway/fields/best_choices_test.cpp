#include "services/gateway/fields/best_choices.hpp"

#include <gtest/gtest.h>

namespace troupe::test {
namespace {

using gateway::best_choices;

TEST(BestChoices, AreTheHighestBestFirstAndOfEqualOnesTheFirst) {
  const std::vector<double> scores{-2.0, -0.5, -1.0, -0.5, -3.0};
  EXPECT_EQ(best_choices(scores, 1), (std::vector<std::size_t>{1}));
  EXPECT_EQ(best_choices(scores, 3), (std::vector<std::size_t>{1, 3, 2}));
  EXPECT_EQ(best_choices(scores, 9), (std::vector<std::size_t>{1, 3, 2, 0, 4}));
  EXPECT_EQ(best_choices(std::vector<double>(3, 0.0), 3), (std::vector<std::size_t>{0, 1, 2}))
      << "as they are";
}

}  // namespace
}  // namespace troupe::test
