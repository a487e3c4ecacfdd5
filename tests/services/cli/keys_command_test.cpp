#include <sys/stat.h>

#include <gtest/gtest.h>

#include <sstream>

#include "services/cli/command.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran keys(Arguments arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Io io{out, err, 0, {}};
  const int code = keys_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

TEST(KeysCommand, MakesRotatesRetiresAndShowsWithoutAKeyInItsOutput) {
  const test::SecretFolder parent;
  const std::string folder = (parent / "keys").string();
  std::string all;
  for (const char* verb : {"make", "show", "rotate", "retire", "show"}) {
    const Ran ran = keys({verb, folder});
    EXPECT_EQ(ran.code, ok) << verb << ": " << ran.err;
    EXPECT_NE(ran.out.find("in use"), std::string::npos) << verb;
    all += ran.out + ran.err;
  }
  EXPECT_NE(all.find("retired generation 1"), std::string::npos);
  struct stat about {};
  ASSERT_EQ(::stat(folder.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0700u);
  const auto loaded = security::load_keys(folder);
  ASSERT_TRUE(loaded);
  for (const auto& each : (*loaded)->generations) {
    EXPECT_EQ(each.curve.secret_key.size(), 40u);
    EXPECT_EQ(all.find(each.curve.secret_key), std::string::npos);
    EXPECT_EQ(all.find(each.curve.public_key), std::string::npos);
  }
}

TEST(KeysCommand, WrongUseIsBadInputAndChangesNothing) {
  const test::SecretFolder parent;
  const std::string folder = (parent / "keys").string();
  EXPECT_EQ(keys({}).code, bad_input);
  EXPECT_EQ(keys({"make"}).code, bad_input);
  EXPECT_EQ(keys({"make", folder, "more"}).code, bad_input);
  EXPECT_EQ(keys({"rotate", folder}).code, bad_input) << "there are none yet";
  EXPECT_EQ(keys({"show", folder}).code, bad_input);
  const Ran typo = keys({"rotat", folder});
  EXPECT_EQ(typo.code, bad_input);
  EXPECT_NE(typo.err.find("rotate"), std::string::npos);
  EXPECT_EQ(keys({"make", folder, "--host", "a b"}).code, bad_input);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(folder) / "current"));
  EXPECT_EQ(keys({"make", folder, "--host", "node-1.example"}).code, ok);
  EXPECT_EQ(keys({"make", folder}).code, bad_input) << "keys are not made over";
}

}  // namespace
}  // namespace troupe::cli
