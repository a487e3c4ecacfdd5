#include "common/config/schema.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

Schema small() {
  return Schema({{"http.port", OptionType::integer, "8080", kGateway, "Port.", "port", "0", "65535"},
                 {"kv.bytes", OptionType::bytes, "0", kWorkers, "Memory.", "", "", "1GiB"},
                 {"log.json", OptionType::boolean, "false", kEveryRole, "JSON."}});
}

TEST(Schema, DerivesFlagAndVariableFromTheName) {
  EXPECT_EQ(flag_name("http.max_connections"), "--http-max-connections");
  EXPECT_EQ(environment_name("http.max_connections"), "TROUPE_HTTP_MAX_CONNECTIONS");
  const Schema schema = small();
  EXPECT_EQ(schema.find("kv.bytes"), 1U);
  EXPECT_EQ(schema.find_flag("--kv-bytes"), 1U);
  EXPECT_EQ(schema.find_variable("TROUPE_KV_BYTES"), 1U);
  EXPECT_FALSE(schema.find("kv.byte"));
}

TEST(Schema, ChecksBoundsInclusively) {
  const Schema schema = small();
  EXPECT_TRUE(schema.parse(0, "0"));
  EXPECT_TRUE(schema.parse(0, "65535"));
  EXPECT_EQ(schema.parse(0, "65536").error().detail, "http.port: found 65536, expected 0..65535");
  EXPECT_EQ(schema.parse(0, "-1").error().detail, "http.port: found -1, expected 0..65535");
  EXPECT_TRUE(schema.parse(1, "1GiB"));
  EXPECT_EQ(schema.parse(1, "1025MiB").error().detail, "kv.bytes: found 1025MiB, expected <= 1GiB");
}

TEST(Schema, EndsTheProcessOnADuplicateOrABadDefault) {
  EXPECT_DEATH(Schema({{"a.b", OptionType::integer, "1"}, {"a_b", OptionType::integer, "1"}}), "a_b");
  EXPECT_DEATH(Schema({{"a", OptionType::integer, "one"}}), "expected a whole number");
  EXPECT_DEATH(Schema({{"a", OptionType::integer, "9", kEveryRole, "", "", "10", ""}}), "expected >= 10");
}

TEST(Schema, KnowsTheRoles) {
  EXPECT_EQ(*role_set("serve"), kServing);
  EXPECT_EQ(*role_set("decode"), kDecode);
  EXPECT_NE(role_set("decoed").error().detail.find("did you mean decode?"), std::string::npos);
  EXPECT_EQ(role_names(kWorkers), "prefill, decode");
}

}  // namespace
}  // namespace troupe
