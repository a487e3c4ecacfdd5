#include "services/cli/ngram_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::cli {
namespace {

class NgramFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  [[nodiscard]] Expected<std::shared_ptr<const NgramTable>> read(std::size_t most = 1 << 20) const {
    const auto tokenizer = test::small_byte_level().make();
    return ngrams_of_file(path_.string(), **tokenizer, most);
  }
  static std::uint64_t pairs(const NgramTable& table, char first, char second) {
    return table.counts(std::vector<TokenId>{static_cast<TokenId>(first)}, static_cast<TokenId>(second))[0]
        .together;
  }

  const std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "troupe-ngram-file-test";
};

TEST_F(NgramFile, CountsTheModelsTokensAcrossLines) {
  write("xyz\nxy");
  const auto table = read();
  ASSERT_TRUE(table) << to_string(table.error());
  EXPECT_EQ(pairs(**table, 'x', 'y'), 2u);
  EXPECT_EQ(pairs(**table, 'y', 'z'), 1u);
  EXPECT_EQ(pairs(**table, 'z', '\n'), 1u);
  EXPECT_EQ(pairs(**table, '\n', 'x'), 1u);
}

TEST_F(NgramFile, ReadsMoreThanAPieceAndKeepsItsBound) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "xy\n";  // three pieces
  write(text);
  const auto table = read(64);
  ASSERT_TRUE(table) << to_string(table.error());
  EXPECT_EQ(pairs(**table, 'x', 'y'), 50000u);
  EXPECT_EQ(pairs(**table, '\n', 'x'), 50000u - 3u) << "pieces are texts of their own";
  EXPECT_LE((*table)->runs(), 64u);
}

TEST_F(NgramFile, NamesTheFileThatCannotBeRead) {
  EXPECT_EQ(read().error().code, Errc::file_not_found);
  write("abc\xFF");
  const auto table = read();
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, Errc::invalid_utf8);
  EXPECT_NE(table.error().detail.find("troupe-ngram-file-test"), std::string::npos);
}

}  // namespace
}  // namespace troupe::cli
