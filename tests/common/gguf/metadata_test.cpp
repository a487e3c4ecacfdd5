#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/gguf/gguf.hpp"
#include "common/gguf/writer.hpp"

namespace troupe::gguf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file of one key of each type, and the bytes that hold it.
class MetadataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Writer writer;
    writer.set_u8("u8", 200);
    writer.set_u32("u32", 7);
    writer.set_i32("minus", -3);
    writer.set_i64("i64", 1LL << 40);
    writer.set_u64("u64", ~0ULL);
    writer.set_f32("f32", 0.5F);
    writer.set_f64("f64", 1e300);
    writer.set_bool("bool", true);
    writer.set_string("string", "h\xc3\xa9llo\n");
    writer.set_strings("strings", std::vector<std::string>{"a", "", "bc"});
    writer.set_f32s("f32s", std::vector<float>{1, -2.5F});
    writer.set_i32s("i32s", std::vector<std::int32_t>{-1, 2});
    writer.set_u32s("u32s", std::vector<std::uint32_t>{4000000000U});
    writer.set_bools("bools", {true, false, true});
    bytes_ = writer.bytes();
    auto file = File::parse(bytes_, "m.gguf");
    ASSERT_TRUE(file) << to_string(file.error());
    file_ = *file;
  }

  std::vector<std::byte> bytes_;
  std::shared_ptr<const File> file_;
};

TEST_F(MetadataTest, GivesIntegersOfEveryWidthWhenTheyFit) {
  EXPECT_EQ(**file_->unsigned_value("u8"), 200U);
  EXPECT_EQ(**file_->unsigned_value("u32"), 7U);
  EXPECT_EQ(**file_->unsigned_value("i64"), 1ULL << 40);
  EXPECT_EQ(**file_->unsigned_value("u64"), ~0ULL);
}

TEST_F(MetadataTest, RefusesANegativeNumberWhereUnsignedIsAsked) {
  const auto value = file_->unsigned_value("minus");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Errc::file_malformed);
  EXPECT_THAT(value.error().detail,
              HasSubstr("m.gguf: metadata key 'minus': found i32 -3, expected an unsigned integer"));
}

TEST_F(MetadataTest, GivesFloatsAlsoFromIntegers) {
  EXPECT_EQ(**file_->float_value("f32"), 0.5);
  EXPECT_EQ(**file_->float_value("f64"), 1e300);
  EXPECT_EQ(**file_->float_value("minus"), -3.0);
}

TEST_F(MetadataTest, GivesBoolsAndText) {
  EXPECT_TRUE(**file_->bool_value("bool"));
  EXPECT_EQ(**file_->string_value("string"), "h\xc3\xa9llo\n");
}

TEST_F(MetadataTest, AnswersAMissingKeyWithNothing) {
  EXPECT_FALSE(file_->has("absent"));
  EXPECT_EQ(*file_->unsigned_value("absent"), std::nullopt);
  EXPECT_EQ(*file_->string_array("absent"), std::nullopt);
}

TEST_F(MetadataTest, GivesArrays) {
  EXPECT_THAT(**file_->string_array("strings"), ElementsAre("a", "", "bc"));
  EXPECT_THAT(**file_->float_array("f32s"), ElementsAre(1.0, -2.5));
  EXPECT_THAT(**file_->integer_array("i32s"), ElementsAre(-1, 2));
  EXPECT_THAT(**file_->integer_array("u32s"), ElementsAre(4000000000));
  EXPECT_THAT(**file_->bool_array("bools"), ElementsAre(true, false, true));
}

TEST_F(MetadataTest, RefusesTheWrongTypeNamingBoth) {
  EXPECT_THAT(file_->string_value("u32").error().detail, HasSubstr("'u32': found u32 7, expected a string"));
  EXPECT_THAT(file_->unsigned_value("string").error().detail,
              HasSubstr("found string, expected an unsigned integer"));
  EXPECT_THAT(file_->float_array("strings").error().detail,
              HasSubstr("found array of string, expected an array of numbers"));
  EXPECT_THAT(file_->integer_array("f32s").error().detail,
              HasSubstr("found array of f32, expected an array of integers"));
  EXPECT_THAT(file_->bool_array("i32s").error().detail, HasSubstr("expected an array of bools"));
  EXPECT_THAT(file_->bool_value("u8").error().detail, HasSubstr("found u8 200, expected a bool"));
}

TEST_F(MetadataTest, DescribesKeysInOrderShortenedAndPrintable) {
  const auto rows = file_->describe(20);
  ASSERT_EQ(rows.size(), 14U);
  EXPECT_EQ(rows[0].key, "u8");
  EXPECT_EQ(rows[1].value, "7");
  EXPECT_EQ(rows[8].value, "'h\\xc3\\xa9llo\\x0a'");
  EXPECT_EQ(rows[9].type, "string[3]");
  EXPECT_EQ(rows[9].value, "'a', '', 'bc'");
  EXPECT_EQ(rows[13].value, "true, false, true");
}

}  // namespace
}  // namespace troupe::gguf
