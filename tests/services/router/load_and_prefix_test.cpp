#include "services/router/policies/load_and_prefix.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

Candidate candidate(std::uint64_t id, std::string_view name, std::uint32_t load = 0,
                    std::uint32_t cached = 0) {
  return {NodeId{id, id}, name, cached, load, 8, 1000, 1000};
}

std::string_view chosen(const std::vector<Candidate>& all, RequestView request = {1000, 100, 1}) {
  const auto decision = LoadAndPrefix().choose(request, all);
  return decision ? all[decision->index].name : name(decision.error().code);
}

TEST(LoadAndPrefix, PrefersTheLongerPrefixUntilItsQueueCostsMore) {
  EXPECT_EQ(chosen({candidate(1, "a"), candidate(2, "b", 0, 512)}), "b");
  EXPECT_EQ(chosen({candidate(1, "a"), candidate(2, "b", 7, 512)}), "b");  // 488 + 448 < 1000
  EXPECT_EQ(chosen({candidate(1, "a"), candidate(2, "b", 7, 400)}), "a");  // 600 + 448 > 1000
}

TEST(LoadAndPrefix, BreaksTiesByNameWhateverTheOrder) {
  EXPECT_EQ(chosen({candidate(2, "b"), candidate(1, "a"), candidate(3, "c")}), "a");
  EXPECT_EQ(chosen({candidate(3, "c"), candidate(2, "b")}), "b");
}

TEST(LoadAndPrefix, APrefixOnDiskIsWorthLessThanOneInMemoryAndMoreThanNone) {
  auto on_disk = candidate(1, "a", 0, 512);
  on_disk.on_disk_tokens = 512;
  EXPECT_EQ(chosen({on_disk, candidate(2, "b", 0, 512)}), "b");
  EXPECT_EQ(chosen({on_disk, candidate(2, "b", 0, 64)}), "a");
}

TEST(LoadAndPrefix, AvoidsAWorkerWithoutPages) {
  auto full = candidate(1, "a");
  full.pages_available = 3;
  EXPECT_EQ(chosen({full, candidate(2, "b", 5)}), "b");
  EXPECT_EQ(chosen({full}), "a") << "it queues there rather than nowhere";
}

TEST(LoadAndPrefix, RefusesWhenEveryQueueIsFullOrNoneCanEverHoldIt) {
  EXPECT_EQ(chosen({}), "no_ready_worker");
  EXPECT_EQ(chosen({candidate(1, "a", 8), candidate(2, "b", 8)}), "queue_full");
  EXPECT_EQ(chosen({candidate(1, "a", 7)}, {1000, 100, 2}), "queue_full") << "both choices need a place";
  EXPECT_EQ(chosen({candidate(1, "a")}, {64000, 1, 1}), "out_of_pages");
}

TEST(LoadAndPrefix, IsListedAndUnknownNamesAreAnsweredWithTheKnownOnes) {
  EXPECT_TRUE(make_router_policy("load_and_prefix").has_value());
  const auto unknown = make_router_policy("nonsense");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().detail.find("load_and_prefix"), std::string::npos);
  for (const RouterPolicyEntry& entry : builtin_router_policies())
    EXPECT_FALSE(entry.make()->choose({10, 10, 1}, {}).has_value())
        << entry.name << " refuses an empty cluster";
}

}  // namespace
}  // namespace troupe::router
