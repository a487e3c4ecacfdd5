#include "services/gateway/doors.hpp"

#include <gtest/gtest.h>

#include "common/security/key_files.hpp"
#include "services/gateway/owner.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

Request showing(std::vector<Header> headers) {
  Request request;
  request.headers = std::move(headers);
  request.headers.push_back({"Accept", "*/*"});
  return request;
}

class DoorsTest : public ::testing::Test {
 protected:
  DoorsTest() {
    const std::string file = (folder_ / "keys.yaml").string();
    ApiKey user, admin;
    user.name = "user";
    user.tenant = "team";
    user.hash = security::sha256("sk-user");
    user.models = {"small"};
    admin.name = "admin";
    admin.hash = security::sha256("sk-admin");
    admin.inference = false;
    admin.admin = true;
    (void)security::replace_file(file, "keys:\n" + entry_text(user) + entry_text(admin));
    auto ring = KeyRing::open({file, 1h, {}});
    if (ring) ring_ = std::move(*ring);
  }
  Caller caller(std::vector<Header> headers) {
    Request request = showing(std::move(headers));
    Caller found = take_caller(request, ring_.get());
    EXPECT_EQ(request.headers.size(), 1u) << "what was shown is gone from the request";
    return found;
  }

  test::SecretFolder folder_;
  std::unique_ptr<KeyRing> ring_;
};

TEST_F(DoorsTest, SecretsComeAsBearerBasicOrByTheirOwnHeader) {
  EXPECT_EQ(secret_in("Bearer abc"), "abc");
  EXPECT_EQ(secret_in("bearer   abc  "), "abc");
  EXPECT_EQ(secret_in("Basic dTpzay11c2Vy"), "sk-user") << "u:sk-user";
  EXPECT_EQ(secret_in("Basic OmE6Yg=="), "a:b") << ":a:b";
  for (const char* none :
       {"", "Bearer", "Bearer ", "Bearerabc", "Basic", "Basic dQ==", "Basic !!", "Digest x"})
    EXPECT_EQ(secret_in(none), "") << none;
}

TEST_F(DoorsTest, TheSameKeyIsTheSameCallerHoweverItIsShown) {
  ASSERT_TRUE(ring_);
  const Caller bearer = caller({{"Authorization", "Bearer sk-user"}});
  ASSERT_TRUE(bearer.key);
  EXPECT_EQ(bearer.name(), "user");
  EXPECT_EQ(bearer.tenant, "team");
  EXPECT_TRUE(bearer.may_use("small"));
  EXPECT_FALSE(bearer.may_use("large"));
  for (const auto& headers :
       {std::vector<Header>{{"x-api-key", "sk-user"}},
        std::vector<Header>{{"authorization", "Basic dTpzay11c2Vy"}},
        std::vector<Header>{{"X-Api-Key", "sk-user"}, {"AUTHORIZATION", "Bearer sk-no"}}}) {
    const Caller other = caller(headers);
    EXPECT_EQ(other.name(), "user");
    EXPECT_EQ(other.owner, bearer.owner);
    EXPECT_EQ(other.tenant, bearer.tenant);
  }
}

TEST_F(DoorsTest, WithoutKeysACredentialIsATenantAsBefore) {
  Request request = showing({{"Authorization", "Bearer any"}});
  const Caller one = take_caller(request, nullptr);
  EXPECT_EQ(one.owner, owner_of("Bearer any"));
  EXPECT_EQ(one.tenant, tenant_of("Bearer any"));
  Request own = showing({{"x-api-key", "any"}});
  EXPECT_EQ(take_caller(own, nullptr).owner, one.owner);
  Request none = showing({});
  EXPECT_EQ(take_caller(none, nullptr).tenant, "default");
  EXPECT_FALSE(refusal(one, Door::admin, false));
}

TEST_F(DoorsTest, KeysOpenTheirOwnDoorsAlone) {
  const Caller user = caller({{"x-api-key", "sk-user"}}), admin = caller({{"x-api-key", "sk-admin"}});
  const Caller nobody = caller({}), stranger = caller({{"x-api-key", "sk-stranger"}});
  for (const Caller* each : {&user, &admin, &nobody, &stranger})
    EXPECT_FALSE(refusal(*each, Door::open, true));
  EXPECT_FALSE(refusal(user, Door::inference, true));
  EXPECT_FALSE(refusal(admin, Door::admin, true));
  EXPECT_EQ(refusal(user, Door::admin, true)->status, 403);
  EXPECT_EQ(refusal(admin, Door::inference, true)->status, 403);
  for (const Door door : {Door::inference, Door::admin}) {
    for (const Caller* each : {&nobody, &stranger}) {
      const auto refused = refusal(*each, door, true);
      ASSERT_TRUE(refused);
      EXPECT_EQ(refused->status, 401);
      EXPECT_EQ(refused->code, name(Errc::invalid_api_key));
      EXPECT_EQ(refused->message.find("sk-stranger"), std::string::npos);
      ASSERT_FALSE(refused->headers.empty());
      EXPECT_EQ(refused->headers[0].name, "WWW-Authenticate");
      EXPECT_EQ(refused->headers.size(), door == Door::admin ? 2u : 1u) << "browsers ask for an admin's key";
    }
  }
}

TEST_F(DoorsTest, LimitsAreToldInOpenAisWords) {
  const ApiError requests = to_api(LimitRefusal{KeyLimit::requests, 3, 1, 1500ms});
  EXPECT_EQ(requests.status, 429);
  EXPECT_EQ(requests.code, "rate_limit_exceeded");
  EXPECT_EQ(requests.retry_after_seconds, 2);
  EXPECT_NE(requests.message.find("3 requests per minute"), std::string::npos);
  const ApiError concurrency = to_api(LimitRefusal{KeyLimit::concurrency, 2, 1, {}});
  EXPECT_EQ(concurrency.retry_after_seconds, 1);
  const ApiError never = to_api(LimitRefusal{KeyLimit::tokens, 100, 101, {}});
  EXPECT_EQ(never.retry_after_seconds, 0) << "waiting does not help";
  EXPECT_EQ(to_response(never).headers.at(0).name, "x-should-retry");
}

}  // namespace
}  // namespace troupe::gateway
