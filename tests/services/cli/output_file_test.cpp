#include "services/cli/output_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace troupe::cli {
namespace {

TEST(WriteFile, ReplacesWhatWasThereAndNamesTheFileThatCannotBeWritten) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "troupe-output-file-test";
  ASSERT_TRUE(write_file(path.string(), "much longer than what follows"));
  ASSERT_TRUE(write_file(path.string(), "b\n"));
  std::ifstream in(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "b\n");
  const auto failed = write_file((path / "below").string(), "x");
  std::filesystem::remove(path);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io_failed);
  EXPECT_NE(failed.error().detail.find("below"), std::string::npos) << failed.error().detail;
}

}  // namespace
}  // namespace troupe::cli
