#include <sys/stat.h>

#include <gtest/gtest.h>

#include <sstream>

#include "common/security/key_files.hpp"
#include "services/cli/command.hpp"
#include "services/gateway/api_keys.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

using gateway::ApiKey;

struct Ran {
  int code = -1;
  std::string out, err;
};

/// As a person writes it: troupe keys api ...
Ran keys_api(Arguments arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Io io{out, err, 0, {}};
  arguments.insert(arguments.begin(), {"keys", "api"});
  const int code = run_command_line(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

std::vector<ApiKey> read(const std::string& file) {
  auto keys = gateway::parse_api_keys(test::text_of_file(file), file);
  EXPECT_TRUE(keys) << keys.error().detail;
  return keys ? *keys : std::vector<ApiKey>();
}

TEST(ApiKeysCommand, PrintsAKeyOnceAndWritesItsHash) {
  const test::SecretFolder folder;
  const std::string file = (folder / "keys.yaml").string();
  const Ran first = keys_api({"make", file, "--name", "alice", "--models", "small,large one", "--scopes",
                              "inference,admin", "--tenant", "team", "--requests-per-minute", "60",
                              "--tokens-per-minute=2000", "--concurrent-requests", "4"});
  ASSERT_EQ(first.code, ok) << first.err;
  const std::string secret = first.out.substr(0, first.out.find('\n'));
  EXPECT_TRUE(secret.starts_with("sk-troupe-"));
  EXPECT_EQ(first.out, secret + "\n") << "the output is the key alone";
  EXPECT_EQ(first.err.find(secret), std::string::npos);
  EXPECT_EQ(test::text_of_file(file).find(secret.substr(10)), std::string::npos);
  struct stat about {};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);

  const Ran second = keys_api({"make", file, "--name", "bob"});
  ASSERT_EQ(second.code, ok) << second.err;
  const auto keys = read(file);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].hash, security::sha256(secret));
  EXPECT_EQ(keys[0].models, (std::vector<std::string>{"small", "large one"}));
  EXPECT_TRUE(keys[0].admin && keys[0].inference);
  EXPECT_EQ(keys[0].tenant, "team");
  EXPECT_EQ(keys[0].rates, (gateway::KeyRates{60, 2000, 4}));
  EXPECT_EQ(keys[1].name, "bob");
  EXPECT_EQ(keys[1].rates, gateway::KeyRates{});

  const Ran shown = keys_api({"show", file});
  EXPECT_EQ(shown.code, ok);
  for (const char* text : {"alice", "bob", "team", "small,large one", "inference,admin", "2000"})
    EXPECT_NE(shown.out.find(text), std::string::npos) << text;
  EXPECT_EQ(shown.out.find(security::to_hex(keys[0].hash)), std::string::npos);
}

TEST(ApiKeysCommand, WhatAPersonWroteInTheFileStays) {
  const test::SecretFolder folder;
  const std::string file = (folder / "keys.yaml").string();
  ASSERT_EQ(keys_api({"make", file, "--name", "alice"}).code, ok);
  const std::string text = "# ours\n" + test::text_of_file(file) + "  # the end";
  ASSERT_TRUE(security::replace_file(file, text));
  ASSERT_EQ(keys_api({"make", file, "--name", "bob"}).code, ok);
  EXPECT_TRUE(test::text_of_file(file).starts_with(text));
  EXPECT_EQ(read(file).size(), 2u);
}

TEST(ApiKeysCommand, WrongUseIsBadInputAndChangesNothing) {
  const test::SecretFolder folder;
  const std::string file = (folder / "keys.yaml").string();
  ASSERT_EQ(keys_api({"make", file, "--name", "alice"}).code, ok);
  const std::string before = test::text_of_file(file);
  const std::vector<Arguments> wrong = {{},
                                        {"make"},
                                        {"mak", file},
                                        {"make", file},
                                        {"make", file, "--name"},
                                        {"make", file, "--name", "alice"},
                                        {"make", file, "--name", "bob", "--model", "x"},
                                        {"make", file, "--name", "b b"},
                                        {"make", file, "--name", "bob\"\n    scopes: [admin"},
                                        {"make", file, "--name", "bob", "--scopes", "root"},
                                        {"make", file, "--name", "bob", "--requests-per-minute", "0"},
                                        {"make", file, "--name", "bob", "--models", ""},
                                        {"make", file, "more", "--name", "bob"},
                                        {"show"},
                                        {"show", (folder / "none").string()}};
  for (const Arguments& each : wrong) {
    const Ran ran = keys_api(each);
    EXPECT_EQ(ran.code, bad_input) << (each.empty() ? "" : each.back());
    EXPECT_EQ(ran.out, "") << "no key was made";
  }
  EXPECT_EQ(test::text_of_file(file), before);
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(keys_api({"make", file, "--name", "bob"}).code, bad_input) << "others could read it";
  EXPECT_NE(keys_api({"--help"}).out.find("--tokens-per-minute"), std::string::npos);
}

}  // namespace
}  // namespace troupe::cli
