#include "services/cli/backup/restore.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <fstream>

#include "common/config/model_catalog.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

Backup some_backup() {
  Backup backup;
  backup.files = {{"/etc/troupe/troupe.yaml", "config", 0640, "root", "root", "model: [m]\n"},
                  {"/etc/troupe/keys/1.curve", "keys", 0600, "root", "root", "a pair"}};
  return backup;
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777;
}

std::vector<PlannedFile> planned(const Backup& backup, const std::filesystem::path& root) {
  auto plan = plan_restore(backup, root);
  EXPECT_TRUE(plan) << (plan ? "" : to_string(plan.error()));
  return plan.value_or(std::vector<PlannedFile>{});
}

TEST(Restore, PutsFilesBackWithTheirModesAndTwiceChangesNothing) {
  const test::SecretFolder root;
  const auto plan = planned(some_backup(), root.path());
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].state, FileState::absent);
  ASSERT_TRUE(restore_files(plan, false));
  EXPECT_EQ(test::text_of_file(root / "etc/troupe/troupe.yaml"), "model: [m]\n");
  EXPECT_EQ(mode_of(root / "etc/troupe/troupe.yaml"), 0640u);
  EXPECT_EQ(mode_of(root / "etc/troupe/keys/1.curve"), 0600u);
  EXPECT_EQ(mode_of(root / "etc/troupe/keys"), 0700u) << "a folder of keys is closed";
  const auto again = planned(some_backup(), root.path());
  for (const PlannedFile& file : again) EXPECT_EQ(file.state, FileState::same) << file.target;
  EXPECT_TRUE(restore_files(again, false));
}

TEST(Restore, OtherFilesAreInTheWayAndNothingIsWrittenUntilItMayReplaceThem) {
  const test::SecretFolder root;
  std::filesystem::create_directories(root / "etc/troupe");
  std::ofstream(root / "etc/troupe/troupe.yaml") << "model: [other]\n";
  const auto plan = planned(some_backup(), root.path());
  EXPECT_EQ(plan[0].state, FileState::other);
  const auto refused = restore_files(plan, false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find((root / "etc/troupe/troupe.yaml").string()), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(root / "etc/troupe/keys"));
  EXPECT_EQ(test::text_of_file(root / "etc/troupe/troupe.yaml"), "model: [other]\n");
  ASSERT_TRUE(restore_files(plan, true));
  EXPECT_EQ(test::text_of_file(root / "etc/troupe/troupe.yaml"), "model: [m]\n");
}

TEST(Restore, ADatabaseIsNotReadWithTheJournalOfAnother) {
  const test::SecretFolder root;
  Backup backup;
  backup.files = {{"/state/batches.sqlite", "batches", 0600, "root", "root", "a database"}};
  std::filesystem::create_directories(root / "state");
  for (const char* name : {"batches.sqlite", "batches.sqlite-wal", "batches.sqlite-shm"})
    std::ofstream(root / "state" / name) << "of another one";
  ASSERT_TRUE(restore_files(planned(backup, root.path()), true));
  EXPECT_EQ(test::text_of_file(root / "state/batches.sqlite"), "a database");
  EXPECT_FALSE(std::filesystem::exists(root / "state/batches.sqlite-wal"));
  EXPECT_FALSE(std::filesystem::exists(root / "state/batches.sqlite-shm"));
}

TEST(Restore, AKeyThatWasOpenedToOthersIsNotTheSame) {
  const test::SecretFolder root;
  ASSERT_TRUE(restore_files(planned(some_backup(), root.path()), false));
  ::chmod((root / "etc/troupe/keys/1.curve").c_str(), 0644);
  EXPECT_EQ(planned(some_backup(), root.path())[1].state, FileState::other);
}

TEST(Restore, AFolderWhereAFileBelongsIsAnError) {
  const test::SecretFolder root;
  std::filesystem::create_directories(root / "etc/troupe/troupe.yaml");
  EXPECT_EQ(plan_restore(some_backup(), root.path()).error().code, Errc::file_malformed);
}

TEST(Restore, RootGivesFilesToTheirOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  Backup backup = some_backup();
  backup.files[1].owner = "nobody";
  backup.files[0].owner = "no-such-user-here";
  const test::SecretFolder root;
  ASSERT_TRUE(restore_files(planned(backup, root.path()), false));
  struct stat about {};
  ASSERT_EQ(::stat((root / "etc/troupe/keys/1.curve").c_str(), &about), 0);
  EXPECT_NE(about.st_uid, 0u);
  ASSERT_EQ(::stat((root / "etc/troupe/keys").c_str(), &about), 0);
  EXPECT_NE(about.st_uid, 0u) << "whoever owns the keys must get into their folder";
  ASSERT_EQ(::stat((root / "etc/troupe/troupe.yaml").c_str(), &about), 0);
  EXPECT_EQ(about.st_uid, 0u);
}

TEST(Restore, SaysWhatBecameOfAModel) {
  const test::SecretFolder folder;
  std::ofstream(folder / "m.gguf") << "weights";
  BackupModel model{"m", (folder / "m.gguf").string(), 7, "c0"};
  EXPECT_NE(model_state(model).find("differs"), std::string::npos);
  model.path = (folder / "gone").string();
  model.sha256 = std::string(known_models().front().sha256);
  const std::string pull = "troupe models pull " + std::string(known_models().front().name);
  EXPECT_NE(model_state(model).find(pull), std::string::npos) << model_state(model);
  model.sha256.clear();
  EXPECT_NE(model_state(model).find("was not on the machine"), std::string::npos);
}

}  // namespace
}  // namespace troupe::cli
