#include "services/gateway/api_keys.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::gateway {
namespace {

std::string hash_line(std::string_view secret) {
  return "sha256:" + security::to_hex(security::sha256(secret));
}

std::string one(const std::string& fields) {
  return "keys:\n  - name: alice\n    hash: " + hash_line("a") + "\n" + fields;
}

TEST(ApiKeys, ReadsEveryField) {
  const auto keys =
      parse_api_keys(one("    tenant: team-a\n    scopes: [inference, admin]\n    models: [small, \"a b\"]\n"
                         "    requests_per_minute: 60\n    tokens_per_minute: 20000\n"
                         "    concurrent_requests: 4\n"),
                     "keys.yaml");
  ASSERT_TRUE(keys) << keys.error().detail;
  ASSERT_EQ(keys->size(), 1u);
  const ApiKey& key = keys->front();
  EXPECT_EQ(key.name, "alice");
  EXPECT_EQ(key.hash, security::sha256("a"));
  EXPECT_EQ(key.tenant, "team-a");
  EXPECT_TRUE(key.inference && key.admin);
  EXPECT_TRUE(key.may_use("small") && key.may_use("a b"));
  EXPECT_FALSE(key.may_use("smal"));
  EXPECT_EQ(key.rates, (KeyRates{60, 20000, 4}));
}

TEST(ApiKeys, WithoutMoreAKeyMayAskEveryModelWithoutLimitAndNothingElse) {
  const auto keys = parse_api_keys(one(""), "keys.yaml");
  ASSERT_TRUE(keys) << keys.error().detail;
  const ApiKey& key = keys->front();
  EXPECT_EQ(key.tenant, "alice");
  EXPECT_TRUE(key.inference);
  EXPECT_FALSE(key.admin);
  EXPECT_TRUE(key.may_use("anything"));
  EXPECT_EQ(key.rates, KeyRates{});
}

TEST(ApiKeys, NoKeysAreAListToo) {
  const auto keys = parse_api_keys("keys: []\n", "keys.yaml");
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->empty());
}

TEST(ApiKeys, AWrongFileIsRefusedWithItsLineAndWithoutItsValues) {
  const std::string second = "  - name: alice\n    hash: " + hash_line("b") + "\n";
  const std::string same_key = "  - name: bob\n    hash: " + hash_line("a") + "\n";
  const struct {
    std::string text, says;
  } kCases[] = {
      {"", "expected \"keys:\""},
      {"keys: 3\n", "expected \"keys:\""},
      {"keys: []\nmore: 1\n", "expected \"keys:\""},
      {"keys: [sk-secret]\n", "keys.yaml:1"},
      {"keys:\n  - name: alice\n", "keys.yaml:2"},
      {"keys:\n  - hash: " + hash_line("a") + "\n", "without a name"},
      {"keys:\n  - name: alice\n    hash: sk-secret\n", "keys.yaml:3"},
      {"keys:\n  - name: alice\n    hash: sha256:sk-secret\n", "keys.yaml:3"},
      {one("    model: [x]\n"), "models"},
      {one("    models: []\n"), "keys.yaml:4"},
      {one("    models: sk-secret\n"), "keys.yaml:4"},
      {one("    scopes: [sk-secret]\n"), "keys.yaml:4"},
      {one("    scopes: []\n"), "keys.yaml:4"},
      {one("    scopes: inference\n"), "keys.yaml:4"},
      {one("    requests_per_minute: 0\n"), "keys.yaml:4"},
      {one("    requests_per_minute: -1\n"), "keys.yaml:4"},
      {one("    tokens_per_minute: sk-secret\n"), "keys.yaml:4"},
      {one("    tokens_per_minute: 99999999999999999999\n"), "keys.yaml:4"},
      {one("    concurrent_requests: 1.5\n"), "keys.yaml:4"},
      {one("    tenant: default\n"), "keys.yaml:2"},
      {one("    tenant: key-0123456789abcdef\n"), "keys.yaml:2"},
      {one("    tenant: \"sk secret\"\n"), "keys.yaml:4"},
      {one(second), "keys.yaml:4"},
      {one(same_key), "keys.yaml:4"},
      {"keys: [", "keys.yaml:"},
  };
  for (const auto& each : kCases) {
    SCOPED_TRACE(each.text);
    const auto keys = parse_api_keys(each.text, "keys.yaml");
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().code, Errc::config_invalid);
    EXPECT_NE(keys.error().detail.find(each.says), std::string::npos) << keys.error().detail;
    EXPECT_EQ(keys.error().detail.find("secret"), std::string::npos) << keys.error().detail;
  }
}

TEST(ApiKeys, MoreThanTheLimitAreRefused) {
  std::string text = "keys:\n";
  for (std::size_t i = 0; i <= kMostApiKeys; ++i) {
    ApiKey key;
    key.name.append("k").append(std::to_string(i));
    key.hash = security::sha256(key.name);
    if (i == kMostApiKeys) {
      const auto most = parse_api_keys(text, "keys.yaml");
      ASSERT_TRUE(most) << most.error().detail;
      EXPECT_EQ(most->size(), kMostApiKeys);
    }
    text += entry_text(key);
  }
  EXPECT_FALSE(parse_api_keys(text, "keys.yaml"));
}

TEST(ApiKeys, AnEntryReadsBackAsItWas) {
  ApiKey key;
  key.name = "alice";
  key.tenant = "team";
  key.hash = security::sha256("x");
  key.admin = true;
  key.models = {"small", "with, comma", "\"quoted\""};
  key.rates = {1, 2, 3};
  const auto keys = parse_api_keys("keys:\n" + entry_text(key), "keys.yaml");
  ASSERT_TRUE(keys) << keys.error().detail;
  const ApiKey& again = keys->front();
  EXPECT_EQ(again.name, key.name);
  EXPECT_EQ(again.tenant, key.tenant);
  EXPECT_EQ(again.hash, key.hash);
  EXPECT_EQ(again.models, key.models);
  EXPECT_EQ(again.rates, key.rates);
  EXPECT_TRUE(again.inference && again.admin);
}

TEST(ApiKeys, MadeKeysAreLongAndNeverTheSame) {
  std::set<std::string> made;
  for (int i = 0; i < 100; ++i) made.insert(make_api_key());
  EXPECT_EQ(made.size(), 100u);
  EXPECT_EQ(made.begin()->size(), std::string_view("sk-troupe-").size() + 64);
  EXPECT_TRUE(made.begin()->starts_with("sk-troupe-"));
}

}  // namespace
}  // namespace troupe::gateway
