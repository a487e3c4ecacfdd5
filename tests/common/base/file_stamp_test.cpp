#include "common/base/file_stamp.hpp"

#include <unistd.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace troupe {
namespace {

TEST(FileStamp, TellsFilesApartWhenOneIsReplacedChangedOrGone) {
  const auto folder = std::filesystem::temp_directory_path() / ("troupe-stamp-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string file = folder / "file", other = folder / "other";
  EXPECT_EQ(stamp_of(file), FileStamp{}) << "there is none";
  std::ofstream(file) << "one";
  const FileStamp first = stamp_of(file);
  EXPECT_NE(first, FileStamp{});
  EXPECT_EQ(stamp_of(file), first);
  std::ofstream(file, std::ios::app) << "more";
  EXPECT_NE(stamp_of(file), first);
  const FileStamp longer = stamp_of(file);
  std::filesystem::copy_file(file, other);
  std::filesystem::last_write_time(other, std::filesystem::last_write_time(file));
  std::filesystem::rename(other, file);
  EXPECT_NE(stamp_of(file), longer) << "the same bytes and time, another file";
  std::filesystem::remove_all(folder);
  EXPECT_EQ(stamp_of(file), FileStamp{});
}

}  // namespace
}  // namespace troupe
