#include "common/security/key_folder.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "common/security/certificates.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::security {
namespace {

namespace fs = std::filesystem;

/// Pairs that are none, but look like some: what is in them is ZeroMQ's business.
KeyMaker counting_maker() {
  auto next = std::make_shared<int>(0);
  return {[next] {
            const auto text = [next](char kind) {
              return std::string(38, kind) + std::to_string(10 + *next);
            };
            ++*next;
            return CurvePair{text('p'), text('s')};
          },
          {}};
}

std::vector<unsigned> numbers(const ClusterKeys& keys) {
  std::vector<unsigned> found;
  for (const KeyGeneration& each : keys.generations) found.push_back(each.number);
  return found;
}
using Numbers = std::vector<unsigned>;

std::size_t certificates_in(const fs::path& file) {
  const std::string text = test::text_of_file(file);
  std::size_t count = 0;
  for (auto at = text.find("BEGIN CERT"); at != std::string::npos; at = text.find("BEGIN CERT", at + 1))
    ++count;
  return count;
}

class KeyFolder : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_keys(folder_.path(), maker_)); }
  ClusterKeys load() {
    auto keys = load_keys(folder_.path());
    EXPECT_TRUE(keys) << (keys ? "" : to_string(keys.error()));
    return keys ? **keys : ClusterKeys{};
  }
  test::SecretFolder folder_;
  KeyMaker maker_ = counting_maker();
};

TEST_F(KeyFolder, EveryFileOfItIsForItsOwnerAlone) {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    struct stat about {};
    ASSERT_EQ(::stat(entry.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 10u);
  EXPECT_EQ(numbers(load()), (Numbers{1, 2}));
  EXPECT_EQ(load().current().curve.public_key.substr(0, 2), "pp");
  EXPECT_EQ(load().current().curve.secret_key.substr(0, 2), "ss");
  EXPECT_EQ(certificates_in(load().authorities), 2u);
  EXPECT_EQ(make_keys(folder_.path(), maker_).error().code, Errc::config_invalid) << "keys are not made over";
}

TEST_F(KeyFolder, BeforeAndAfterEachStepMembersKnowEachOthersKeys) {
  const auto knows = [](const ClusterKeys& who, const ClusterKeys& whose) {
    return std::any_of(who.generations.begin(), who.generations.end(), [&](const KeyGeneration& each) {
      return each.curve.public_key == whose.current().curve.public_key;
    });
  };
  ClusterKeys before = load();
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
    const ClusterKeys rotated = load();
    EXPECT_NE(rotated.current().number, before.current().number);
    EXPECT_TRUE(knows(before, rotated) && knows(rotated, before));
    ASSERT_TRUE(retire_keys(folder_.path()));
    const ClusterKeys retired = load();
    EXPECT_TRUE(knows(rotated, retired) && knows(retired, rotated));
    EXPECT_FALSE(knows(retired, before)) << "what is retired is refused";
    before = retired;
  }
  EXPECT_EQ(numbers(before), (Numbers{4, 5}));
}

TEST_F(KeyFolder, TheOneInUseIsTriedFirstThenWhatOthersMayStillUse) {
  ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
  EXPECT_EQ(numbers(load()), (Numbers{2, 1, 3}));
  EXPECT_EQ(certificates_in(load().authorities), 3u);
  EXPECT_EQ(*retire_keys(folder_.path()), (Numbers{1}));
  EXPECT_EQ(numbers(load()), (Numbers{2, 3}));
  EXPECT_FALSE(fs::exists(folder_ / "1.curve") || fs::exists(folder_ / "1.node.key"));
  EXPECT_EQ(certificates_in(load().authorities), 2u);
}

TEST_F(KeyFolder, StepsOutOfTurnAreRefused) {
  EXPECT_EQ(retire_keys(folder_.path()).error().code, Errc::config_invalid);
  ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
  EXPECT_EQ(rotate_keys(folder_.path(), maker_).error().code, Errc::config_invalid) << "retire comes first";
}

TEST_F(KeyFolder, ARotationThatWasCutOffIsRepeated) {
  ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
  ASSERT_TRUE(retire_keys(folder_.path()));
  fs::copy_file(folder_ / "3.curve", folder_ / "4.curve");  // the process ended before the rest was there
  EXPECT_EQ(load_keys(folder_.path()).error().code, Errc::file_not_found) << "half a generation is none";
  fs::remove(folder_ / "4.curve");
  std::ofstream(folder_ / "4.node.key") << "a part";
  fs::permissions(folder_ / "4.node.key", fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(numbers(load()), (Numbers{2, 3})) << "without its .curve, written last, it does not count";
  ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
  EXPECT_EQ(numbers(load()), (Numbers{3, 2, 4}));
}

TEST_F(KeyFolder, ASecretThatOthersCanReadIsRefusedAndNotShown) {
  for (const char* file : {"1.curve", "2.curve", "1.node.key"}) {
    fs::permissions(folder_ / file, fs::perms::others_read, fs::perm_options::add);
    const auto refused = load_keys(folder_.path());
    ASSERT_FALSE(refused) << file;
    EXPECT_EQ(refused.error().code, Errc::config_invalid);
    EXPECT_NE(refused.error().detail.find(file), std::string::npos);
    fs::permissions(folder_ / file, fs::perms::others_read, fs::perm_options::remove);
  }
  EXPECT_TRUE(load_keys(folder_.path()));
}

TEST_F(KeyFolder, AMalformedFileIsNamedWithoutItsText) {
  for (const std::string& text :
       {std::string("short\nkeys\n"), std::string(40, 'p') + "\n" + std::string(40, ' ') + "\n",
        std::string(40, 'p') + "\n" + std::string(40, 's') + "\nmore\n", std::string()}) {
    std::ofstream(folder_ / "1.curve") << text;
    const auto refused = load_keys(folder_.path());
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, Errc::file_malformed);
    EXPECT_EQ(refused.error().detail.find("sss"), std::string::npos);
  }
  std::ofstream(folder_ / "current") << "7\n";
  EXPECT_EQ(load_keys(folder_.path()).error().code, Errc::file_malformed) << "7 is in use and not there";
  std::ofstream(folder_ / "current") << "one\n";
  EXPECT_EQ(load_keys(folder_.path()).error().code, Errc::file_malformed);
  EXPECT_EQ(load_keys(folder_ / "absent").error().code, Errc::file_not_found);
}

TEST_F(KeyFolder, WhatIsShownAreFingerprints) {
  ASSERT_TRUE(rotate_keys(folder_.path(), maker_));
  const auto facts = describe_keys(folder_.path());
  ASSERT_TRUE(facts);
  ASSERT_EQ(facts->size(), 3u);
  const char* states[] = {"retiring", "in use", "next"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*facts)[i].number, i + 1);
    EXPECT_EQ((*facts)[i].state, states[i]);
    EXPECT_EQ((*facts)[i].certificate.size(), 64u);
  }
  EXPECT_EQ((*facts)[1].curve, fingerprint(load().current().curve.public_key));
}

}  // namespace
}  // namespace troupe::security
