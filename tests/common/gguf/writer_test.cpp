#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/gguf/gguf.hpp"
#include "common/gguf/writer.hpp"

namespace troupe::gguf {
namespace {

using ::testing::HasSubstr;

class FileOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("troupe-gguf-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

std::vector<std::byte> filled(std::size_t size, int value) {
  return std::vector<std::byte>(size, std::byte(value));
}

TEST(Writer, WritesTensorsThatReadBackAligned) {
  Writer writer;
  writer.set_string("general.architecture", "x");
  ASSERT_TRUE(writer.add_tensor("a", TensorType::f32, {3}, filled(12, 1)));
  ASSERT_TRUE(writer.add_tensor("b", TensorType::q4_0, {64, 2}, filled(72, 2)));
  ASSERT_TRUE(writer.add_tensor("c", TensorType::q6_k, {256}, [](std::span<std::byte> out) {
    std::fill(out.begin(), out.end(), std::byte{3});
  }));
  const auto bytes = writer.bytes();
  const auto file = File::parse(bytes, "w");
  ASSERT_TRUE(file) << to_string(file.error());
  EXPECT_EQ((*file)->file_bytes(), bytes.size());
  ASSERT_EQ((*file)->tensors().size(), 3U);
  const Tensor* b = (*file)->tensor("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, TensorType::q4_0);
  EXPECT_EQ(b->shape, (std::vector<std::uint64_t>{64, 2}));
  EXPECT_EQ(b->elements(), 128U);
  EXPECT_EQ(std::vector(b->data.begin(), b->data.end()), filled(72, 2));
  EXPECT_EQ((b->data.data() - bytes.data()) % 32, 0);
  EXPECT_EQ((*file)->tensor("c")->data.size(), 210U);
  EXPECT_EQ((*file)->tensor("c")->data[209], std::byte{3});
  EXPECT_EQ((*file)->tensor("absent"), nullptr);
}

TEST(Writer, RefusesBytesOrShapesThatDoNotSuitTheType) {
  Writer writer;
  const auto size = writer.add_tensor("a", TensorType::f16, {3}, filled(12, 1));
  ASSERT_FALSE(size);
  EXPECT_THAT(size.error().detail, HasSubstr("'a': found 12 bytes, expected 6"));
  const auto blocks = writer.add_tensor("b", TensorType::q4_k, {128}, filled(72, 1));
  ASSERT_FALSE(blocks);
  EXPECT_THAT(blocks.error().detail, HasSubstr("found dimension 0 of 128, expected a multiple of 256"));
  EXPECT_TRUE((*File::parse(writer.bytes(), "w"))->tensors().empty());
}

/// Bytes of the file that this process holds in memory.
std::size_t resident(const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/smaps");
  std::size_t kilobytes = 0;
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ') && line.find(':') > line.find(' ')) ours = line.ends_with(file.string());
    if (ours && line.starts_with("Rss:")) kilobytes += std::stoul(line.substr(4));
  }
  return kilobytes * 1024;
}

TEST_F(FileOnDisk, AReleasedTensorLeavesMemoryAndIsReadAgain) {
  constexpr std::size_t kBytes = 1U << 20;
  Writer writer;
  writer.set_string("general.architecture", "x");
  ASSERT_TRUE(writer.add_tensor("a", TensorType::f32, {kBytes / 4}, filled(kBytes, 7)));
  const auto path = folder_ / "large.gguf";
  ASSERT_TRUE(writer.save(path));
  const auto file = File::open(path);
  ASSERT_TRUE(file);
  const Tensor& tensor = *(*file)->tensor("a");
  EXPECT_EQ(std::vector(tensor.data.begin(), tensor.data.end()), filled(kBytes, 7));
  EXPECT_GE(resident(path), kBytes);
  (*file)->release(tensor);
  EXPECT_LT(resident(path), kBytes / 8);
  EXPECT_EQ(std::vector(tensor.data.begin(), tensor.data.end()), filled(kBytes, 7));

  const auto bytes = writer.bytes();  // not a file's: nothing may be given back
  const auto parsed = File::parse(bytes, "w");
  ASSERT_TRUE(parsed);
  (*parsed)->release(*(*parsed)->tensor("a"));
  EXPECT_EQ((*parsed)->tensor("a")->data[kBytes / 2], std::byte{7});
}

TEST_F(FileOnDisk, SavesAndOpensTheSameBytes) {
  Writer writer;
  writer.set_u32("n", 5);
  ASSERT_TRUE(writer.add_tensor("a", TensorType::bf16, {16}, filled(32, 9)));
  const auto path = folder_ / "m.gguf";
  ASSERT_TRUE(writer.save(path));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  const auto file = File::open(path);
  ASSERT_TRUE(file) << to_string(file.error());
  EXPECT_EQ((*file)->path(), path);
  EXPECT_EQ((*file)->file_bytes(), writer.bytes().size());
  EXPECT_EQ(**(*file)->unsigned_value("n"), 5U);
  EXPECT_EQ((*file)->tensor("a")->data[31], std::byte{9});
}

TEST_F(FileOnDisk, NamesAFileThatIsMissingEmptyOrADirectory) {
  const auto missing = File::open(folder_ / "absent.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::file_not_found);
  EXPECT_THAT(missing.error().detail, HasSubstr("absent.gguf"));
  std::ofstream(folder_ / "empty.gguf").close();
  const auto empty = File::open(folder_ / "empty.gguf");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Errc::file_malformed);
  EXPECT_THAT(empty.error().detail, HasSubstr("empty.gguf: magic: found 0 bytes"));
  const auto directory = File::open(folder_);
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, Errc::file_malformed);
}

TEST_F(FileOnDisk, SavingIntoAMissingFolderSaysSo) {
  const auto saved = Writer{}.save(folder_ / "no" / "m.gguf");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::io_failed);
}

}  // namespace
}  // namespace troupe::gguf
