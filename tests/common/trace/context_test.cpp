#include "common/trace/context.hpp"

#include <gtest/gtest.h>

namespace troupe::trace {
namespace {

const std::string kHeader = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, IsReadAndWritten) {
  const auto context = parse_traceparent(kHeader);
  ASSERT_TRUE(context);
  EXPECT_EQ(troupe::to_hex(context->trace), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(to_hex(context->span), "b7ad6b7169203331");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(to_traceparent(*context), kHeader);
  EXPECT_FALSE(parse_traceparent(kHeader.substr(0, 53) + "02")->sampled) << "another flag";
  EXPECT_EQ(to_traceparent(*parse_traceparent(kHeader.substr(0, 53) + "00")), kHeader.substr(0, 53) + "00");
}

TEST(Traceparent, OfALaterVersionIsReadAsFarAsThisOneGoes) {
  EXPECT_TRUE(parse_traceparent("01" + kHeader.substr(2)));
  EXPECT_TRUE(parse_traceparent("cc" + kHeader.substr(2) + "-more"));
  EXPECT_FALSE(parse_traceparent("cc" + kHeader.substr(2) + "more"));
  EXPECT_FALSE(parse_traceparent(kHeader + "-more")) << "version 00 has nothing more";
  EXPECT_FALSE(parse_traceparent("ff" + kHeader.substr(2)));
}

TEST(Traceparent, ThatIsMalformedIsNone) {
  for (std::size_t length = 0; length < kHeader.size(); ++length)
    EXPECT_FALSE(parse_traceparent(kHeader.substr(0, length)));
  for (std::size_t at = 0; at < kHeader.size(); ++at) {
    for (const char wrong : {'g', 'A', ' ', '\0'}) {
      std::string text = kHeader;
      text[at] = wrong;
      EXPECT_FALSE(parse_traceparent(text)) << text;
    }
  }
  EXPECT_FALSE(parse_traceparent("00-" + std::string(32, '0') + "-b7ad6b7169203331-01"));
  EXPECT_FALSE(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-" + std::string(16, '0') + "-01"));
}

}  // namespace
}  // namespace troupe::trace
