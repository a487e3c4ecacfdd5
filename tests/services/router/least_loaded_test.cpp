#include "services/router/policies/least_loaded.hpp"

#include <gtest/gtest.h>

#include "common/config/options.hpp"

namespace troupe::router {
namespace {

Candidate candidate(std::uint64_t id, std::string_view name, std::uint32_t load, std::uint32_t cached = 0) {
  return {NodeId{id, id}, name, cached, load, 8, 1000, 1000};
}

TEST(LeastLoaded, TakesTheShortestQueueWhateverIsCached) {
  const std::vector<Candidate> all = {candidate(1, "a", 2, 900), candidate(2, "b", 1), candidate(3, "c", 1)};
  const auto decision = LeastLoaded().choose({1000, 100, 1}, all);
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(all[decision->index].name, "b");
  EXPECT_EQ(decision->reason, "load");
}

TEST(LeastLoaded, LooksPastFullWorkersAndRefusesWhenAllAre) {
  const std::vector<Candidate> all = {candidate(1, "a", 8), candidate(2, "b", 8)};
  const auto decision = LeastLoaded().choose({1000, 100, 1}, all);
  ASSERT_FALSE(decision.has_value());
  EXPECT_EQ(decision.error().code, Errc::queue_full);
}

TEST(RouterPolicies, EveryOneCanBeNamedByTheOption) {
  const auto index = product_schema().find("router.policy");
  ASSERT_TRUE(index.has_value());
  const Option& option = product_schema().options()[*index];
  ASSERT_EQ(option.choices.size(), builtin_router_policies().size());
  for (std::size_t i = 0; i < option.choices.size(); ++i)
    EXPECT_EQ(option.choices[i], builtin_router_policies()[i].name);
  EXPECT_EQ(option.default_text, builtin_router_policies().front().name);
}

}  // namespace
}  // namespace troupe::router
