#include "common/safetensors/safetensors.hpp"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

namespace troupe::safetensors {
namespace {

std::vector<std::byte> file_of(const std::string& header, std::size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  for (std::size_t i = 0; i < data_bytes; ++i) bytes[8 + header.size() + i] = static_cast<std::byte>(i);
  return bytes;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  std::string out(1, '"');
  out.append(name).append(R"(":{"dtype":")").append(dtype).append(R"(","shape":)").append(shape);
  out.append(R"(,"data_offsets":)").append(offsets).append(1, '}');
  return out;
}

std::string object(const std::string& first, const std::string& second = {}) {
  std::string out(1, '{');
  out.append(first);
  if (!second.empty()) out.append(1, ',').append(second);
  return out.append(1, '}');
}

const std::string kGood = R"({"__metadata__":{"format":"pt"},)" + tensor("b", "F32", "[1,2]", "[0,8]") + "," +
                          tensor("a", "F16", "[3]", "[8,14]") + "," +
                          tensor("scalar", "I64", "[]", "[14,22]") + "," +
                          tensor("none", "BF16", "[0,4]", "[22,22]") + "}";

TEST(Safetensors, TensorsAreViewsIntoTheBytes) {
  const auto bytes = file_of(kGood, 22);
  const auto file = File::parse(bytes, "f");
  ASSERT_TRUE(file.has_value()) << to_string(file.error());
  ASSERT_EQ((*file)->tensors().size(), 4u);
  const Tensor* b = (*file)->tensor("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, Type::f32);
  EXPECT_EQ(b->shape, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(b->elements(), 2u);
  EXPECT_EQ(b->data.data(), bytes.data() + 8 + kGood.size());
  EXPECT_EQ((*file)->tensor("a")->data.front(), std::byte{8});
  EXPECT_EQ((*file)->tensor("scalar")->elements(), 1u);
  EXPECT_EQ((*file)->tensor("scalar")->type, Type::other);
  EXPECT_EQ((*file)->tensor("none")->data.size(), 0u);
  EXPECT_EQ((*file)->tensor("c"), nullptr);
}

TEST(Safetensors, AFileIsMappedAndAMissingOneIsSaid) {
  const auto path =
      std::filesystem::temp_directory_path() / ("troupe-safetensors-" + std::to_string(::getpid()));
  const auto bytes = file_of(kGood, 22);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto file = File::open(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ((*file)->tensor("a")->data.size(), 6u);
  const auto missing = File::open(path);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Errc::file_not_found);
}

TEST(Safetensors, WhatBreaksTheFormatIsRefused) {
  const auto refused = [](const std::string& header, std::size_t data, const std::string& says,
                          Errc code = Errc::file_malformed) {
    const auto file = File::parse(file_of(header, data), "f");
    ASSERT_FALSE(file.has_value()) << header;
    EXPECT_EQ(file.error().code, code) << to_string(file.error());
    EXPECT_NE(file.error().detail.find(says), std::string::npos) << file.error().detail;
  };
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return object(tensor("t", dtype, shape, offsets));
  };
  refused("", 0, "no JSON");
  refused("[]", 0, "a list");
  refused("{", 0, "no JSON");
  refused(R"({"t":7})", 0, "a number");
  refused(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", 4, "a number");
  refused(R"({"t":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4, "a text");
  refused(R"({"t":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4, "a list");
  refused(R"({"t":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "a list");
  refused(R"({"t":{"dtype":"F32","shape":{},"data_offsets":[0,4]}})", 4, "an object");
  refused(R"({"t":{"dtype":"F32","shape":[1]}})", 4, "lacks");
  refused(R"({"__metadata__":{"a":[1]}})", 0, "a list");
  refused(one("F32", "[-1]", "[0,4]"), 4, "a negative number");
  refused(one("F32", "[1.5]", "[0,4]"), 4, "a fraction");
  refused(one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "a number");
  refused(one("F4", "[1]", "[0,4]"), 4, "F4", Errc::file_unsupported);
  refused(one("F32", "[1]", "[0,4,8]"), 4, "lacks");
  refused(one("F32", "[2]", "[0,4]"), 4, "its shape says 8");
  refused(one("F32", "[1]", "[0,8]"), 4, "the file has 4");
  refused(one("F32", "[1]", "[4,0]"), 4, "4 to 0");
  refused(one("F32", "[1]", "[18446744073709551612,18446744073709551615]"), 4, "the file has 4");
  refused(one("F32", "[4294967296,4294967296,4]", "[0,4]"), 4, "more than there can be");
  refused(one("F32", "[1]", "[4,8]"), 8, "end to end");
  refused(one("F32", "[1]", "[0,4]"), 8, "end to end");
  refused(object(tensor("a", "F32", "[1]", "[0,4]"), tensor("b", "F32", "[1]", "[0,4]")), 4, "end to end");
  refused(object(tensor("a", "F32", "[1]", "[0,4]"), tensor("a", "F32", "[1]", "[4,8]")), 8, "comes twice");
}

TEST(Safetensors, ALengthThatTheFileLacksIsRefused) {
  std::vector<std::byte> bytes(4);
  EXPECT_FALSE(File::parse(bytes, "f").has_value());
  bytes.resize(16);
  for (const std::uint64_t length : {std::uint64_t{9}, ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
    std::memcpy(bytes.data(), &length, 8);
    const auto file = File::parse(bytes, "f");
    ASSERT_FALSE(file.has_value());
    EXPECT_NE(file.error().detail.find("at most 8"), std::string::npos) << file.error().detail;
  }
}

/// Whatever is done to a file, its reader neither fails nor gives a view that leaves the bytes.
TEST(Safetensors, DamagedFilesAreRefusedOrHaveTheirTensorsInside) {
  std::mt19937_64 random(11);
  const auto good = file_of(kGood, 22);
  std::size_t taken = 0;
  for (int round = 0; round < 20000; ++round) {
    auto bytes = good;
    for (std::uint64_t changes = random() % 4 + 1; changes > 0; --changes) {
      const std::size_t at = random() % bytes.size();
      if (random() % 8 == 0)
        bytes.resize(at + 1);
      else
        bytes[at] = random() % 2 == 0 ? static_cast<std::byte>(random())
                                      : static_cast<std::byte>("{}[]\",:0198"[random() % 11]);
    }
    const auto file = File::parse(bytes, "f");
    if (!file) continue;
    ++taken;
    for (const Tensor& each : (*file)->tensors()) {
      ASSERT_GE(each.data.data(), bytes.data());
      ASSERT_LE(each.data.data() + each.data.size(), bytes.data() + bytes.size());
    }
  }
  EXPECT_GT(taken, 10u);
}

}  // namespace
}  // namespace troupe::safetensors
