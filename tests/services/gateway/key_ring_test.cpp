#include "services/gateway/key_ring.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/security/key_files.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

ApiKey named(const std::string& name, const std::string& secret, std::uint64_t requests = 0) {
  ApiKey key;
  key.name = name;
  key.hash = security::sha256(secret);
  key.rates.requests_per_minute = requests;
  return key;
}

class KeyRingTest : public ::testing::Test {
 protected:
  void write(const std::vector<ApiKey>& keys) {
    std::string text = keys.empty() ? "keys: []\n" : "keys:\n";
    for (const ApiKey& key : keys) text += entry_text(key);
    write(text);
  }
  void write(const std::string& text) { ASSERT_TRUE(security::replace_file(file_, text)); }
  std::unique_ptr<KeyRing> open(Duration look_every = 1h) {
    auto ring = KeyRing::open({file_, look_every, [this](bool taken) { ++(taken ? taken_ : refused_); }});
    EXPECT_TRUE(ring) << ring.error().detail;
    return ring ? std::move(*ring) : nullptr;
  }

  test::SecretFolder folder_;
  std::string file_ = (folder_ / "keys.yaml").string();
  std::atomic<int> taken_{0}, refused_{0};
};

TEST_F(KeyRingTest, FindsAKeyByItsSecretAlone) {
  write({named("alice", "sk-a"), named("bob", "sk-b")});
  const auto ring = open();
  ASSERT_TRUE(ring);
  ASSERT_TRUE(ring->find("sk-a"));
  EXPECT_EQ(ring->find("sk-a")->key.name, "alice");
  EXPECT_EQ(ring->find("sk-b")->key.name, "bob");
  for (const std::string& stranger :
       {std::string(), std::string("sk-"), std::string("sk-a "), std::string("alice"), std::string("sk-A"),
        security::to_hex(security::sha256("sk-a"))})
    EXPECT_FALSE(ring->find(stranger)) << stranger;
}

TEST_F(KeyRingTest, FindsAKeyByItsName) {
  write({named("alice", "sk-a"), named("bob", "sk-b")});
  const auto ring = open();
  ASSERT_TRUE(ring);
  EXPECT_EQ(ring->named("bob"), ring->find("sk-b"));
  EXPECT_FALSE(ring->named("sk-b"));
  EXPECT_FALSE(ring->named(""));
}

TEST_F(KeyRingTest, AFileThatIsMissingWrongOrOpenToOthersDoesNotStart) {
  EXPECT_EQ(KeyRing::open({file_, 1h, {}}).error().code, Errc::file_not_found);
  write(std::string("keys: 1\n"));
  EXPECT_EQ(KeyRing::open({file_, 1h, {}}).error().code, Errc::config_invalid);
  write({named("alice", "a")});
  ASSERT_EQ(::chmod(file_.c_str(), 0644), 0);
  EXPECT_EQ(KeyRing::open({file_, 1h, {}}).error().code, Errc::config_invalid);
}

TEST_F(KeyRingTest, ReloadTakesChangesAndABrokenFileChangesNothing) {
  write({named("alice", "a", 5), named("bob", "b")});
  const auto ring = open();
  const auto alice = ring->find("a");
  EXPECT_FALSE(alice->limits->enter(TimePoint(1h)));
  write({named("alice", "new", 5)});
  EXPECT_TRUE(ring->find("b")) << "nobody looked yet";
  EXPECT_TRUE(ring->reload());
  EXPECT_FALSE(ring->find("a"));
  EXPECT_FALSE(ring->find("b"));
  ASSERT_TRUE(ring->find("new"));
  EXPECT_EQ(ring->find("new")->limits, alice->limits) << "what a name has used stays used";
  write(std::string("keys: [\n"));
  EXPECT_FALSE(ring->reload());
  std::filesystem::remove(file_);
  EXPECT_FALSE(ring->reload());
  EXPECT_TRUE(ring->find("new"));
  EXPECT_EQ(taken_, 1);
  EXPECT_EQ(refused_, 2);
  write(std::vector<ApiKey>{});
  EXPECT_TRUE(ring->reload());
  EXPECT_FALSE(ring->find("new")) << "no keys let nobody in";
}

TEST_F(KeyRingTest, LooksAfterItsFileByItself) {
  write({named("alice", "a")});
  const auto ring = open(1ms);
  write({named("alice", "b")});
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!ring->find("b") && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(ring->find("b"));
  EXPECT_FALSE(ring->find("a"));
  write(std::string("nothing"));
  while (refused_ == 0 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(refused_, 1) << "said once";
  EXPECT_TRUE(ring->find("b"));
}

}  // namespace
}  // namespace troupe::gateway
