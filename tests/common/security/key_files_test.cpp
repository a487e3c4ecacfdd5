#include "common/security/key_files.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/support/key_folder.hpp"

namespace troupe::security {
namespace {

TEST(KeyFiles, ASecretIsWrittenForItsOwnerAlone) {
  const test::SecretFolder folder;
  const auto file = folder / "secret";
  ASSERT_TRUE(write_new_file(file, "hush"));
  struct stat about {};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  EXPECT_EQ(*read_secret_file(file), "hush");
  EXPECT_EQ(write_new_file(file, "again").error().code, Errc::io_failed) << "nothing is written over";
  ASSERT_TRUE(replace_file(file, "other"));
  EXPECT_EQ(*read_secret_file(file), "other");
}

TEST(KeyFiles, ASecretThatOthersCanReadIsRefusedWithTheCommandThatMendsIt) {
  const test::SecretFolder folder;
  const auto file = folder / "secret";
  ASSERT_TRUE(write_new_file(file, "hush"));
  for (const mode_t mode : {0604, 0620, 0660, 0644, 0602}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    const auto refused = read_secret_file(file);
    ASSERT_FALSE(refused) << std::oct << mode;
    EXPECT_EQ(refused.error().code, Errc::config_invalid);
    EXPECT_NE(refused.error().detail.find("chmod 600 " + file.string()), std::string::npos)
        << refused.error().detail;
    EXPECT_EQ(refused.error().detail.find("hush"), std::string::npos);
  }
  ASSERT_EQ(::chmod(file.c_str(), 0400), 0);
  EXPECT_TRUE(read_secret_file(file));
}

TEST(KeyFiles, FoldersThatAreOpenToOthersAreRefused) {
  const test::SecretFolder folder;
  EXPECT_TRUE(check_secret_folder(folder.path()));
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const auto refused = check_secret_folder(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("chmod 700"), std::string::npos);
  EXPECT_EQ(check_secret_folder(folder / "absent").error().code, Errc::file_not_found);
}

TEST(KeyFiles, LinksAndFoldersAndEndlessFilesAreNoSecrets) {
  const test::SecretFolder folder;
  EXPECT_EQ(read_secret_file(folder.path()).error().code, Errc::config_invalid);
  EXPECT_EQ(read_secret_file("/dev/zero").error().code, Errc::config_invalid);
  ASSERT_TRUE(write_new_file(folder / "large", std::string(70 << 10, 'x')));
  EXPECT_EQ(read_secret_file(folder / "large").error().code, Errc::file_malformed);
}

}  // namespace
}  // namespace troupe::security
