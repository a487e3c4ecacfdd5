#include "common/security/digest.hpp"

#include <gtest/gtest.h>

namespace troupe::security {
namespace {

TEST(Digest, IsSha256) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, GoesThroughHexAndNothingElseDoes) {
  const std::string text = to_hex(sha256("abc"));
  ASSERT_TRUE(digest_from_hex(text));
  EXPECT_EQ(*digest_from_hex(text), sha256("abc"));
  std::string upper = text;
  for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 32) : c;
  EXPECT_EQ(digest_from_hex(upper), sha256("abc"));
  EXPECT_FALSE(digest_from_hex(text.substr(1)));
  EXPECT_FALSE(digest_from_hex(text + "0"));
  std::string wrong = text;
  wrong.front() = 'g';
  EXPECT_FALSE(digest_from_hex(wrong));
  EXPECT_FALSE(digest_from_hex(""));
}

TEST(Digest, SameLooksAtEveryByte) {
  const Digest one = sha256("one");
  for (std::size_t i = 0; i < one.size(); ++i) {
    Digest other = one;
    other[i] ^= 1U;
    EXPECT_FALSE(same(one, other)) << i;
  }
  EXPECT_TRUE(same(one, sha256("one")));
}

}  // namespace
}  // namespace troupe::security
