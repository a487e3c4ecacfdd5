// The rules of others, as they are published.
#include <gtest/gtest.h>

#include "services/router/policies/cache_aware.hpp"
#include "services/router/policies/consistent_hash.hpp"
#include "services/router/policies/kv_overlap.hpp"
#include "services/router/policies/random_worker.hpp"
#include "services/router/policies/round_robin.hpp"
#include "tests/services/router/policy_builders.hpp"

namespace troupe::router {
namespace {

std::size_t chosen(const RankingPolicy& policy, const std::vector<Candidate>& all,
                   const RequestView& request) {
  const auto decision = policy.choose(request, all);
  return decision ? decision->index : all.size();
}

TEST(RoundRobin, TurnsByTicketAndSkipsFullWorkers) {
  std::vector<Candidate> all = {worker(1, "a"), worker(2, "b"), worker(3, "c")};
  for (std::uint64_t ticket = 0; ticket < 6; ++ticket)
    EXPECT_EQ(chosen(RoundRobin(), all, prompt(10, ticket)), ticket % 3);
  all[1].load = all[1].capacity;
  EXPECT_EQ(chosen(RoundRobin(), all, prompt(10, 1)), 2u);
}

TEST(RandomWorker, DrawsEveryWorkerAboutAsOften) {
  const std::vector<Candidate> all = {worker(1, "a"), worker(2, "b"), worker(3, "c"), worker(4, "d")};
  std::vector<int> counts(4);
  for (std::uint64_t ticket = 0; ticket < 4000; ++ticket)
    ++counts[chosen(RandomWorker(), all, prompt(10, ticket))];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 120);
}

TEST(ConsistentHash, KeepsABeginningWhereItIsAndMovesOnlyWhatAGoneWorkerHad) {
  std::vector<Candidate> all;
  for (std::uint64_t i = 1; i <= 8; ++i) all.push_back(worker(i, "w"));
  for (Candidate& c : all) c.load = 10;
  const auto at = [&](std::uint64_t hash) {
    RequestView request = prompt(100);
    request.prefix_hash = hash;
    return all[chosen(ConsistentHash(), all, request)].node;
  };
  std::vector<NodeId> before;
  for (std::uint64_t hash = 0; hash < 200; ++hash) before.push_back(at(hash));
  const NodeId gone = all[3].node;
  all.erase(all.begin() + 3);
  std::size_t moved = 0;
  for (std::uint64_t hash = 0; hash < 200; ++hash) moved += at(hash) != before[hash];
  EXPECT_EQ(moved, static_cast<std::size_t>(std::count(before.begin(), before.end(), gone)));
}

TEST(ConsistentHash, AHotBeginningIsPassedOnAtTheBound) {
  std::vector<Candidate> all = {worker(1, "a"), worker(2, "b"), worker(3, "c"), worker(4, "d")};
  for (int i = 0; i < 40; ++i) ++all[chosen(ConsistentHash(), all, prompt(100))].load;  // one beginning
  for (const Candidate& c : all) EXPECT_LE(c.load, 13u);  // 1.25 * 40 / 4, rounded up
}

TEST(CacheAware, FollowsAMatchOverHalfOfThePromptElseTheFreeCache) {
  std::vector<Candidate> all = {worker(1, "a", 600), worker(2, "b", 200), worker(3, "c")};
  all[0].load = 20;
  all[2].pages_free = 900;
  all[1].pages_free = 100;
  all[0].pages_free = 100;
  EXPECT_EQ(chosen(CacheAware(), all, prompt(1000)), 0u);
  EXPECT_EQ(chosen(CacheAware(), all, prompt(1201)), 2u) << "600 of 1201 is under half";
}

TEST(CacheAware, OutOfBalanceItTakesTheShortestQueue) {
  std::vector<Candidate> all = {worker(1, "a", 1000), worker(2, "b"), worker(3, "c")};
  all[0].load = 33;
  all[1].load = 1;
  all[2].load = 0;
  EXPECT_EQ(chosen(CacheAware(), all, prompt(1000)), 2u);
  all[0].load = 32;
  EXPECT_EQ(chosen(CacheAware(), all, prompt(1000)), 0u);
}

TEST(KvOverlap, WeighsMissingAndQueuedBlocksAgainstBlocksInUse) {
  std::vector<Candidate> all = {worker(1, "a", 640), worker(2, "b")};
  EXPECT_EQ(chosen(KvOverlap(), all, prompt(1000)), 0u);
  all[0].pages_available = 1000 - 11;  // 704 tokens decode there: more than the match saves
  EXPECT_EQ(chosen(KvOverlap(), all, prompt(1000)), 1u);
  all[0].pages_available = 1000 - 9;
  EXPECT_EQ(chosen(KvOverlap(), all, prompt(1000)), 0u);
  all[0].queued_tokens = 200;
  EXPECT_EQ(chosen(KvOverlap(), all, prompt(1000)), 1u);
}

}  // namespace
}  // namespace troupe::router
