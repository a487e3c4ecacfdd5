// What every policy of the table keeps, whatever its rule.
#include <gtest/gtest.h>

#include <random>

#include "services/router/policies/able.hpp"
#include "tests/services/router/policy_builders.hpp"

namespace troupe::router {
namespace {

class RouterPolicyConformance : public ::testing::TestWithParam<RouterPolicyEntry> {
 protected:
  std::unique_ptr<RouterPolicy> policy_ = GetParam().make({});
};

/// A cluster drawn from a seed: loads, caches, queues, some workers full or small.
std::vector<Candidate> drawn(std::mt19937_64& rng, std::size_t count) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < count; ++i) {
    Candidate c =
        worker(rng() | 1, "w", static_cast<std::uint32_t>(rng() % 5000), static_cast<double>(rng() % 20000));
    c.load = static_cast<std::uint32_t>(rng() % 65);
    c.pages_total = rng() % 4 == 0 ? 10 : 1000;
    c.pages_available = static_cast<std::uint32_t>(rng() % (c.pages_total + 1));
    c.pages_free = c.pages_available / 2;
    c.decode_rows = static_cast<double>(rng() % 40);
    all.push_back(c);
  }
  return all;
}

TEST_P(RouterPolicyConformance, RefusesAnEmptyCluster) {
  const auto decision = policy_->place(prompt(100), {});
  ASSERT_FALSE(decision.has_value());
  EXPECT_EQ(decision.error().code, Errc::no_ready_worker);
}

TEST_P(RouterPolicyConformance, RefusesWhenAllAreFullAndSaysWhenAPlaceIsFree) {
  std::vector<Candidate> all = {worker(1, "a"), worker(2, "b")};
  for (Candidate& c : all) c.load = c.capacity;
  all[0].retry_ms = 7000;
  all[1].retry_ms = 4000;
  const auto decision = policy_->place(prompt(100), {all});
  ASSERT_FALSE(decision.has_value());
  EXPECT_EQ(decision.error().code, Errc::queue_full);
  EXPECT_EQ(decision.error().retry_after_ms, 4000u);
}

TEST_P(RouterPolicyConformance, RefusesAPromptThatFitsNowhereForGood) {
  const std::vector<Candidate> all = {worker(1, "a"), worker(2, "b")};
  const auto decision = policy_->place(prompt(64000), {all});
  ASSERT_FALSE(decision.has_value());
  EXPECT_EQ(decision.error().code, Errc::out_of_pages);
}

TEST_P(RouterPolicyConformance, NeverChoosesAFullOrTooSmallWorkerNorOneThatIsNotThere) {
  std::mt19937_64 rng(3);
  for (int round = 0; round < 2000; ++round) {
    const auto all = drawn(rng, 1 + rng() % 12), helpers = drawn(rng, rng() % 4);
    RequestView request = prompt(static_cast<std::uint32_t>(1 + rng() % 6000), rng());
    request.session = rng() % 3;
    request.prefix_hash = rng();
    request.choices = static_cast<std::uint32_t>(1 + rng() % 3);
    const auto decision = policy_->place(request, {all, helpers});
    const auto able = able_to_take(request, all);
    ASSERT_EQ(decision.has_value(), able.has_value());
    if (!decision) continue;
    ASSERT_NE(std::find(able->begin(), able->end(), decision->index), able->end()) << GetParam().name;
    EXPECT_TRUE(decision->reason == "prefix" || decision->reason == "load");
    if (!decision->prefill) continue;
    const auto able_helpers = able_to_take(request, helpers);
    ASSERT_TRUE(able_helpers.has_value());
    EXPECT_NE(std::find(able_helpers->begin(), able_helpers->end(), *decision->prefill), able_helpers->end());
  }
}

TEST_P(RouterPolicyConformance, TheSameQuestionGetsTheSameAnswer) {
  std::mt19937_64 rng(5);
  for (int round = 0; round < 200; ++round) {
    const auto all = drawn(rng, 8);
    const RequestView request = prompt(500, rng());
    const auto once = policy_->place(request, {all}), again = GetParam().make({})->place(request, {all});
    ASSERT_EQ(once.has_value(), again.has_value());
    if (!once) continue;
    EXPECT_EQ(once->index, again->index);
  }
}

TEST_P(RouterPolicyConformance, AShortOrCachedPromptNeedsNoPrefillWorker) {
  const std::vector<Candidate> all = {worker(1, "a", 900)}, helpers = {worker(9, "p")};
  EXPECT_FALSE(policy_->place(prompt(255), {all, helpers})->prefill.has_value());
  EXPECT_FALSE(policy_->place(prompt(1000), {all, helpers})->prefill.has_value());
}

TEST_P(RouterPolicyConformance, ItsWorkersAllGetSomethingInTime) {
  std::vector<Candidate> all = {worker(1, "a"), worker(2, "b"), worker(3, "c")};
  for (std::uint64_t ticket = 0; ticket < 60; ++ticket) {
    RequestView request = prompt(1000, ticket);
    request.prefix_hash = ticket * 977;
    const auto decision = policy_->place(request, {all});
    ASSERT_TRUE(decision.has_value());
    Candidate& chosen = all[decision->index];
    ++chosen.load;
    chosen.queued_tokens += 1000;
    chosen.pages_available -= 16;
    chosen.pages_free -= 16;
  }
  for (const Candidate& c : all) EXPECT_GE(c.load, 10u) << GetParam().name << " starves " << c.name;
}

INSTANTIATE_TEST_SUITE_P(EveryPolicy, RouterPolicyConformance, ::testing::ValuesIn(builtin_router_policies()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace troupe::router
