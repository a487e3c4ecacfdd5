// Two gateways and what they share: who is first under a key, whose record is found, what a dead directory
// costs.
#include "services/gateway/request_store.hpp"

#include <gtest/gtest.h>

#include "tests/services/gateway/script_directory.hpp"

namespace troupe::test {
namespace {

using gateway::RequestStore;
using wire::RequestRecord;
using namespace std::chrono_literals;

RequestRecord record(std::uint64_t id) {
  RequestRecord out;
  out.request = {id, id};
  out.body = "body of " + std::to_string(id);
  out.seed = id * 11;
  out.created = 1'700'000'000;
  out.stream = true;
  return out;
}

class RequestStoreTest : public ::testing::Test {
 protected:
  RequestStoreTest() {
    for (auto& store : stores_)
      store = std::make_unique<RequestStore>(gateway::RequestStoreOptions{.record_time = 10min}, clock_,
                                             std::make_unique<ScriptDirectory>(redis_));
  }
  Expected<RequestRecord> find(int gateway, std::uint64_t id) {
    std::optional<Expected<RequestRecord>> found;
    store(gateway).find({id, id}, [&](auto got) { found = std::move(got); });
    return found.value_or(fail(Errc::internal, "no answer"));
  }
  void keep(int gateway, std::uint64_t id) {
    bool done = false;
    store(gateway).keep(record(id), [&] { done = true; });
    EXPECT_TRUE(done);
  }
  RequestStore::Claim claim(int gateway, std::uint64_t key, std::uint64_t id) {
    std::optional<RequestStore::Claim> found;
    store(gateway).claim({key, 0}, record(id), [&](auto got) { found = std::move(got); });
    EXPECT_TRUE(found.has_value());
    return found.value_or(RequestStore::Claim{});
  }
  RequestStore& store(int gateway) { return *stores_[static_cast<std::size_t>(gateway)]; }

  ManualClock clock_;
  std::shared_ptr<ScriptRedis> redis_ = std::make_shared<ScriptRedis>(clock_);
  std::array<std::unique_ptr<RequestStore>, 2> stores_;
};

TEST_F(RequestStoreTest, ARecordIsFoundAtBothGatewaysUntilItsTimeIsOver) {
  keep(0, 1);
  for (const int gateway : {0, 1}) {
    const auto found = find(gateway, 1);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->body, "body of 1");
    EXPECT_EQ(found->seed, 11u);
    EXPECT_EQ(found->created, 1'700'000'000);
  }
  clock_.advance(12min);
  for (const int gateway : {0, 1}) {
    const auto gone = find(gateway, 1);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Errc::request_unknown);
  }
}

TEST_F(RequestStoreTest, KeepingARecordIsOneWrite) {
  keep(0, 1);
  EXPECT_EQ(redis_->writes, 1);
}

TEST_F(RequestStoreTest, TheFirstUnderAKeyStaysFirstAtBoth) {
  EXPECT_TRUE(claim(0, 5, 1).own);
  for (const int gateway : {0, 1}) {
    const auto later = claim(gateway, 5, 2);
    EXPECT_FALSE(later.own);
    EXPECT_EQ(later.record.request, (RequestId{1, 1}));
    EXPECT_EQ(later.record.body, "body of 1");
  }
  EXPECT_TRUE(claim(1, 6, 3).own);
  EXPECT_FALSE(find(1, 2)) << "what was not first leaves no record";
}

TEST_F(RequestStoreTest, AKeyIsFreeAgainAfterItsTime) {
  EXPECT_TRUE(claim(0, 5, 1).own);
  clock_.advance(11min);
  EXPECT_TRUE(claim(1, 5, 2).own);
}

TEST_F(RequestStoreTest, OfTwoAtOnceAtOneGatewayTheSecondWaitsForTheFirst) {
  redis_->holds = true;
  std::vector<RequestStore::Claim> claims;
  for (const std::uint64_t id : {1, 2})
    store(0).claim({5, 0}, record(id), [&](auto claim) { claims.push_back(std::move(claim)); });
  EXPECT_TRUE(claims.empty());
  redis_->let_go();
  ASSERT_EQ(claims.size(), 2u);
  EXPECT_EQ(claims[0].own + claims[1].own, 1);
  EXPECT_EQ(claims[0].record.request, claims[1].record.request);
}

TEST_F(RequestStoreTest, OfTwoAtOnceAtTwoGatewaysOneIsFirst) {
  redis_->holds = true;
  std::vector<RequestStore::Claim> claims;
  for (const int gateway : {0, 1})
    store(gateway).claim({5, 0}, record(static_cast<std::uint64_t>(gateway) + 1),
                         [&](auto claim) { claims.push_back(std::move(claim)); });
  redis_->let_go();
  ASSERT_EQ(claims.size(), 2u);
  EXPECT_EQ(claims[0].own + claims[1].own, 1);
  EXPECT_EQ(claims[0].record.request, claims[1].record.request);
}

TEST_F(RequestStoreTest, WithoutItsDirectoryAGatewayKnowsItsOwnAndGoesOn) {
  redis_->away = true;
  keep(0, 1);
  EXPECT_TRUE(find(0, 1));
  EXPECT_TRUE(claim(0, 5, 2).own);
  EXPECT_FALSE(claim(0, 5, 3).own);
  const auto other = find(1, 1);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::request_unknown);
}

TEST_F(RequestStoreTest, TheFirstNumberOfCachedTokensIsEverybodys) {
  std::vector<std::uint64_t> agreed;
  const auto take = [&](std::uint64_t number) { agreed.push_back(number); };
  store(0).agree_cached({1, 1}, 16, take);
  store(1).agree_cached({1, 1}, 48, take);
  store(1).agree_cached({1, 1}, 64, take);
  redis_->away = true;
  store(0).agree_cached({1, 1}, 80, take);
  store(0).agree_cached({2, 2}, 96, take);
  EXPECT_EQ(agreed, (std::vector<std::uint64_t>{16, 16, 16, 16, 96}));
}

TEST_F(RequestStoreTest, WithoutADirectoryItsOwnTableIsAll) {
  RequestStore alone({}, clock_, nullptr);
  bool done = false;
  alone.keep(record(1), [&] { done = true; });
  EXPECT_TRUE(done);
  bool own = false;
  alone.claim({5, 0}, record(2), [&](const auto& claim) { own = claim.own; });
  EXPECT_TRUE(own);
  alone.claim({5, 0}, record(3), [&](const auto& claim) { own = claim.own; });
  EXPECT_FALSE(own);
}

}  // namespace
}  // namespace troupe::test
