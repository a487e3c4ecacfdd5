// One wrong field per case: the error must name the file, the field, what was found and what was expected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/gguf/gguf.hpp"
#include "tests/common/gguf/raw_file.hpp"

namespace troupe::gguf {
namespace {

using ::testing::HasSubstr;
using testing::Raw;

struct Case {
  const char* name;
  Raw file;
  Errc code;
  std::vector<std::string> says;  ///< parts of the detail: field, found, expected
};

constexpr Errc kMalformed = Errc::file_malformed;

std::vector<Case> header_cases() {
  return {
      {"Empty", Raw{}, kMalformed, {"magic", "found 0 bytes", "expected 4"}},
      {"Magic",
       Raw{}.raw("GGML").u32(3).u64(0).u64(0),
       kMalformed,
       {"magic", "0x4c4d4747", "expected 0x46554747"}},
      {"NoVersion", Raw{}.raw("GGUF").u8(3), kMalformed, {"version", "found 1 bytes", "expected 4"}},
      {"Version1",
       Raw{}.raw("GGUF").u32(1).u64(0).u64(0),
       Errc::file_unsupported,
       {"version", "found 1", "2 or 3"}},
      {"Version4",
       Raw{}.raw("GGUF").u32(4).u64(0).u64(0),
       Errc::file_unsupported,
       {"version", "found 4", "2 or 3"}},
      {"BigEndian",
       Raw{}.raw("GGUF").u32(0x03000000).u64(0).u64(0),
       Errc::file_unsupported,
       {"version", "big-endian"}},
      {"NoTensorCount",
       Raw{}.raw("GGUF").u32(3).u32(0),
       kMalformed,
       {"tensor count", "found 4 bytes", "expected 8"}},
      {"NoMetadataCount", Raw{}.raw("GGUF").u32(3).u64(0), kMalformed, {"metadata count", "found 0 bytes"}},
      {"TensorCountHuge",
       Raw{}.header(~0ULL, 0),
       kMalformed,
       {"tensor count", "18446744073709551615", "at most 0"}},
      {"MetadataCountHuge",
       Raw{}.header(0, 1ULL << 60).data(64),
       kMalformed,
       {"metadata count", "1152921504606846976"}},
  };
}

std::vector<Case> metadata_cases() {
  const auto one = [] { return Raw{}.header(0, 1); };
  Raw nested = one().string("k").u32(9);
  for (int i = 0; i < 9; ++i) nested.u32(9).u64(1);
  nested.u32(4).u64(0);
  return {
      {"KeyLengthZero", one().string("").data(32), kMalformed, {"metadata entry 0", "key length", "found 0"}},
      {"KeyLengthHuge", one().u64(70000).data(32), kMalformed, {"key length", "found 70000", "1 to 65535"}},
      {"KeyPastTheEnd", one().u64(60000).data(32), kMalformed, {"key length", "found 60000", "bytes left"}},
      {"KeyLengthMissing",
       Raw{}.header(0, 2).string("k").u32(0).u8(1).raw("0123456789abcd").cut(7),
       kMalformed,
       {"metadata count", "found 2"}},
      {"ValueTypeMissing",
       one().string("kkkkkkkkkkkk").u8(0),
       kMalformed,
       {"'kkkkkkkkkkkk'", "value type", "found 1 bytes"}},
      {"ValueTypeUnknown",
       one().string("k").u32(13).u64(0),
       kMalformed,
       {"'k'", "value type", "found 13", "0 to 12"}},
      {"ScalarPastTheEnd",
       one().string("k").u32(10).u32(1),
       kMalformed,
       {"'k'", "found 4 bytes", "expected 8"}},
      {"BoolOfTwo", one().string("k").u32(7).u8(2), kMalformed, {"'k'", "bool", "found 2", "0 or 1"}},
      {"StringPastTheEnd",
       one().string("k").u32(8).u64(100).raw("abc"),
       kMalformed,
       {"'k'", "string length", "found 100", "3 bytes left"}},
      {"StringLengthWraps",
       one().string("k").u32(8).u64(~0ULL).raw("abc"),
       kMalformed,
       {"string length", "18446744073709551615"}},
      {"StringLengthMissing",
       one().string("k").u32(8).u32(1),
       kMalformed,
       {"string length", "found 4 bytes", "expected 8"}},
      {"ArrayTypeMissing",
       one().string("k").u32(9).u8(0),
       kMalformed,
       {"'k'", "array element type", "found 1 bytes"}},
      {"ArrayTypeUnknown",
       one().string("k").u32(9).u32(99).u64(0),
       kMalformed,
       {"array element type", "found 99", "0 to 12"}},
      {"ArrayLengthMissing",
       one().string("k").u32(9).u32(4).u32(1),
       kMalformed,
       {"array length", "found 4 bytes", "expected 8"}},
      {"ArrayLengthHuge",
       one().string("k").u32(9).u32(4).u64(1ULL << 62).u32(1),
       kMalformed,
       {"array length", "4611686018427387904", "at most 1"}},
      {"StringsLengthHuge",
       one().string("k").u32(9).u32(8).u64(3).u64(0).u64(0),
       kMalformed,
       {"array length", "found 3", "at most 2"}},
      {"StringInArrayPastTheEnd",
       one().string("k").u32(9).u32(8).u64(2).string("a").u64(50),
       kMalformed,
       {"'k'", "string length", "found 50"}},
      {"BoolInArrayOfSeven",
       one().string("k").u32(9).u32(7).u64(2).u8(1).u8(7),
       kMalformed,
       {"'k'", "bool", "found 7"}},
      {"ArraysTooDeep", nested, kMalformed, {"'k'", "array depth", "at most 4"}},
      {"InnerArrayLengthHuge",
       one().string("k").u32(9).u32(9).u64(1).u32(5).u64(999),
       kMalformed,
       {"'k'", "array length", "found 999", "at most 0"}},
      {"KeyTwice",
       Raw{}.header(0, 2).key_u32("k", 1).key_u32("k", 1),
       kMalformed,
       {"'k'", "a second time", "once"}},
      {"KeyWithControlBytes", one().string("k\n\x1b").u32(13).u64(0), kMalformed, {"'k\\x0a\\x1b'"}},
      {"AlignmentZero",
       Raw{}.header(0, 1).key_u32("general.alignment", 0),
       kMalformed,
       {"'general.alignment'", "found 0", "power of two"}},
      {"AlignmentNotAPower",
       Raw{}.header(0, 1).key_u32("general.alignment", 48),
       kMalformed,
       {"'general.alignment'", "found 48"}},
      {"AlignmentTooLarge",
       Raw{}.header(0, 1).key_u32("general.alignment", 1U << 20),
       kMalformed,
       {"'general.alignment'", "found 1048576", "65536"}},
      {"AlignmentOfText",
       Raw{}.header(0, 1).string("general.alignment").u32(8).string("32"),
       kMalformed,
       {"'general.alignment'", "found string", "unsigned integer"}},
  };
}

std::vector<Case> tensor_cases() {
  const auto one = [] { return Raw{}.header(1, 0); };
  return {
      {"NameLengthZero",
       one().string("").u32(1).u64(4).u32(0).u64(0).data(64),
       kMalformed,
       {"tensor 0", "name length", "found 0"}},
      {"NameLengthHuge",
       one().u64(128).data(256),
       kMalformed,
       {"tensor 0", "name length", "found 128", "1 to 127"}},
      {"NamePastTheEnd",
       one().u64(100).data(32),
       kMalformed,
       {"tensor 0", "name length", "found 100", "bytes left"}},
      {"RankZero",
       one().tensor("w", {}, 0, 0).data(64),
       kMalformed,
       {"'w'", "dimension count", "found 0", "1 to 4"}},
      {"RankFive",
       one().tensor("w", {1, 1, 1, 1, 1}, 0, 0).data(64),
       kMalformed,
       {"'w'", "dimension count", "found 5"}},
      {"DimensionZero",
       one().tensor("w", {4, 0}, 0, 0).data(64),
       kMalformed,
       {"'w'", "dimension 1", "found 0"}},
      {"ProductWraps",
       one().tensor("w", {1ULL << 33, 1ULL << 33}, 0, 0).data(64),
       kMalformed,
       {"'w'", "dimension 1", "8589934592", "2^48"}},
      {"DimensionHuge",
       one().tensor("w", {~0ULL}, 0, 0).data(64),
       kMalformed,
       {"'w'", "dimension 0", "18446744073709551615"}},
      {"TypeUnknown",
       one().tensor("w", {32}, 16, 0).data(64),
       Errc::file_unsupported,
       {"'w'", "type", "number 16", "Q4_0"}},
      {"TypeRemoved", one().tensor("w", {32}, 4, 0).data(64), Errc::file_unsupported, {"'w'", "number 4"}},
      {"NotWholeBlocks",
       one().tensor("w", {48}, 2, 0).data(64),
       kMalformed,
       {"'w'", "dimension 0", "found 48", "32 elements", "Q4_0"}},
      {"NotWholeSuperBlocks",
       one().tensor("w", {128}, 12, 0).data(256),
       kMalformed,
       {"'w'", "found 128", "256 elements", "Q4_K"}},
      {"OffsetUnaligned",
       one().tensor("w", {4}, 0, 16).data(64),
       kMalformed,
       {"'w'", "offset", "found 16", "multiple of 32"}},
      {"OffsetPastTheEnd",
       one().tensor("w", {4}, 0, 96).data(64),
       kMalformed,
       {"'w'", "data", "offset 96", "64 bytes"}},
      {"OffsetWraps",
       one().tensor("w", {4}, 0, ~31ULL).data(64),
       kMalformed,
       {"'w'", "data", "offset 18446744073709551584"}},
      {"DataCutShort",
       one().tensor("w", {16}, 0, 0).data(64).cut(1),
       kMalformed,
       {"'w'", "found 64 bytes", "63 bytes"}},
      {"NoDataAtAll", one().tensor("w", {16}, 0, 0), kMalformed, {"'w'", "found 64 bytes", "0 bytes"}},
      {"NameTwice",
       Raw{}.header(2, 0).tensor("w", {4}, 0, 0).tensor("w", {4}, 0, 32).data(64),
       kMalformed,
       {"'w'", "second time", "once"}},
      {"Overlap",
       Raw{}.header(2, 0).tensor("a", {16}, 0, 0).tensor("b", {4}, 0, 32).data(64),
       kMalformed,
       {"'b'", "offset", "found 32", "at least 64", "'a'"}},
      {"SamePlace",
       Raw{}.header(2, 0).tensor("a", {4}, 0, 0).tensor("b", {4}, 0, 0).data(64),
       kMalformed,
       {"offset", "found 0", "at least 16"}},
      {"OffsetMissing",
       one().tensor("wwwwwwwwwwwwwwwwwwwwwww", {32}, 2, 0).cut(1),
       kMalformed,
       {"'wwww", "offset", "found 7 bytes"}},
      {"TypeMissing",
       one().tensor("wwwwwwwwwwwwwwwwwwwwwww", {32}, 2, 0).cut(10),
       kMalformed,
       {"'wwww", "type", "found 2 bytes"}},
      {"DimensionMissing",
       one().tensor("wwwwwwwwwwwwwwwwwwwwwww", {32}, 2, 0).cut(13),
       kMalformed,
       {"'wwww", "dimension 0", "found 7 bytes"}},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = header_cases();
  for (auto& c : metadata_cases()) cases.push_back(c);
  for (auto& c : tensor_cases()) cases.push_back(c);
  return cases;
}

class MalformedFile : public ::testing::TestWithParam<Case> {};

TEST_P(MalformedFile, IsRefusedNamingTheField) {
  const Case& c = GetParam();
  const auto file = File::parse(c.file.bytes, "model.gguf");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, c.code);
  EXPECT_THAT(file.error().detail, HasSubstr("model.gguf"));
  for (const std::string& part : c.says) EXPECT_THAT(file.error().detail, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Cases, MalformedFile, ::testing::ValuesIn(all_cases()),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

TEST(WholeFile, CutAnywhereIsRefusedOrReadsNothingBeyond) {
  const Raw whole = Raw{}
                        .header(2, 2)
                        .key_u32("a.b", 7)
                        .string("text")
                        .u32(8)
                        .string("hello")
                        .tensor("a", {16}, 0, 0)
                        .tensor("b", {32}, 2, 64)
                        .data(64 + 18);
  ASSERT_TRUE(File::parse(whole.bytes, "whole"));
  for (std::size_t size = 0; size < whole.bytes.size(); ++size) {
    const std::vector<std::byte> part(whole.bytes.begin(),
                                      whole.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(File::parse(part, "part").has_value()) << size;
  }
}

TEST(WholeFile, EveryByteChangedIsHandled) {
  const Raw whole = Raw{}
                        .header(2, 3)
                        .key_u32("a.b", 7)
                        .string("s")
                        .u32(9)
                        .u32(8)
                        .u64(2)
                        .string("x")
                        .string("yz")
                        .string("f")
                        .u32(6)
                        .u32(0)
                        .tensor("a", {16}, 0, 0)
                        .tensor("b", {32}, 2, 64)
                        .data(64 + 18);
  ASSERT_TRUE(File::parse(whole.bytes, "whole"));
  int refused = 0;
  for (std::size_t at = 0; at < whole.bytes.size(); ++at) {
    for (const int flip : {1, 0x10, 0x80, 0xFF}) {
      std::vector<std::byte> changed = whole.bytes;
      changed[at] ^= std::byte(flip);
      const auto file = File::parse(changed, "changed");
      if (file) (void)(*file)->describe(50);
      refused += file ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace troupe::gguf
