#include "services/cli/backup/backup.hpp"

#include <gtest/gtest.h>

#include "services/cli/backup/archive.hpp"

namespace troupe::cli {
namespace {

Backup some_backup() {
  Backup backup;
  backup.release = "0.1.0";
  backup.made = "2026-01-31T12:00:00Z";
  backup.options = "model: [m]\n";
  backup.variables = {"TROUPE_CONFIG"};
  backup.files = {
      {"/etc/troupe/troupe.yaml", "config", 0640, "troupe", "troupe", "model: [m]\n"},
      {"/etc/troupe/keys/1.curve", "keys", 0600, "troupe", "troupe", std::string("pair\0of keys", 12)},
      {"/var/keys/1.curve", "keys", 0600, "0", "0", ""}};
  backup.models = {{"m", "/models/m.gguf", 123, std::string(64, 'a')}};
  return backup;
}

TEST(Backup, ComesBackFromItsArchive) {
  const std::string bytes = to_archive(some_backup());
  EXPECT_EQ(bytes, to_archive(some_backup()));
  const auto backup = from_archive(bytes);
  ASSERT_TRUE(backup) << to_string(backup.error());
  EXPECT_EQ(*backup, some_backup());
}

TEST(Backup, EveryChangedByteIsRefused) {
  const std::string good = to_archive(some_backup());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    EXPECT_FALSE(from_archive(bad)) << at;
  }
}

/// The archive with one of its files changed by `change`.
template <class Change>
std::string with(Change change) {
  auto files = *read_archive(to_archive(some_backup()));
  change(files);
  return write_archive(files);
}

TEST(Backup, APartThatIsMissingDoubledOrUnlistedIsRefused) {
  EXPECT_FALSE(from_archive(with([](auto& files) { files.pop_back(); })));
  EXPECT_FALSE(from_archive(with([](auto& files) { files.push_back(files.back()); })));
  EXPECT_FALSE(from_archive(with([](auto& files) { files.push_back({"files/9999-more", "x"}); })));
  EXPECT_FALSE(from_archive(write_archive({})));
  const auto damaged = from_archive(with([](auto& files) { files.back().content = "other"; }));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Errc::hash_mismatch);
}

TEST(Backup, APathThatLeadsElsewhereIsRefused) {
  for (const char* path : {"etc/passwd", "/a/../etc/passwd", "/etc/", "", "/a//b", "/./a"}) {
    Backup backup = some_backup();
    backup.files[0].path = path;
    EXPECT_FALSE(from_archive(to_archive(backup))) << path;
  }
  Backup twice = some_backup();
  twice.files.push_back(twice.files[0]);
  EXPECT_FALSE(from_archive(to_archive(twice)));
}

}  // namespace
}  // namespace troupe::cli
