#include "services/cli/backup/archive.hpp"

#include <gtest/gtest.h>

namespace troupe::cli {
namespace {

std::vector<ArchiveFile> some_files() {
  return {{"MANIFEST.json", "{}\n"},
          {"files/0000-empty", ""},
          {"files/0001-block", std::string(512, 'x')},
          {std::string(99, 'n'), std::string("bytes \0 of any kind \xff", 21)}};
}

TEST(Archive, GivesBackWhatWasWrittenAndTheSameBytesForTheSameFiles) {
  const std::string bytes = write_archive(some_files());
  EXPECT_EQ(bytes.size() % 512, 0u);
  EXPECT_EQ(bytes, write_archive(some_files()));
  const auto files = read_archive(bytes);
  ASSERT_TRUE(files) << to_string(files.error());
  EXPECT_EQ(*files, some_files());
}

TEST(Archive, NoneIsAnArchiveToo) {
  const auto files = read_archive(write_archive({}));
  ASSERT_TRUE(files);
  EXPECT_TRUE(files->empty());
}

TEST(Archive, AChangedByteOfAHeaderOrAPaddingIsRefused) {
  const std::string good = write_archive(std::vector<ArchiveFile>{{"a", "content"}});
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    const auto files = read_archive(bad);
    const bool is_content = at >= 512 && at < 512 + 7;  // whose hash is somebody else's to check
    EXPECT_EQ(files.has_value(), is_content) << at;
    if (!files) {
      EXPECT_EQ(files.error().code, Errc::file_malformed);
    }
  }
}

TEST(Archive, APartOfOneIsRefused) {
  const std::string good = write_archive(some_files());
  for (std::size_t size = 0; size < good.size(); size += 37)
    EXPECT_FALSE(read_archive(good.substr(0, size))) << size;
  EXPECT_FALSE(read_archive(good + std::string(512, '\0')));
  EXPECT_FALSE(read_archive("hello"));
}

TEST(Archive, ASizeBeyondItsEndIsRefused) {
  std::string bad = write_archive(std::vector<ArchiveFile>{{"a", "content"}});
  bad.replace(124, 11, "77777777777");
  EXPECT_FALSE(read_archive(bad));
}

}  // namespace
}  // namespace troupe::cli
