#include "common/http/chunked.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(ChunkedDecoder, GivesTheSameBodyHoweverTheBytesAreCut) {
  const std::string text = "5\r\nhello\r\nA;name=v\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    ChunkedDecoder decoder;
    std::string body;
    for (std::size_t at = 0; at < text.size(); at += step)
      body += *decoder.feed(std::string_view(text).substr(at, step));
    EXPECT_EQ(body, "hello0123456789") << "step " << step;
    EXPECT_TRUE(decoder.finished());
  }
}

TEST(ChunkedDecoder, IsNotFinishedBeforeTheLastChunk) {
  ChunkedDecoder decoder;
  EXPECT_EQ(*decoder.feed("3\r\nabc\r\n"), "abc");
  EXPECT_FALSE(decoder.finished());
}

TEST(ChunkedDecoder, RefusesWhatIsNoChunk) {
  for (const char* bad :
       {"x\r\n", "\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "FFFFFFFF\r\n", "2\r\nabcd\r\n"}) {
    ChunkedDecoder decoder;
    const auto result = decoder.feed(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().code, Errc::wire_malformed);
  }
  ChunkedDecoder decoder;
  EXPECT_FALSE(decoder.feed(std::string(10'000, '1')));
}

}  // namespace
}  // namespace troupe
