#include "services/router/simulator/trace.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kTwo =
    R"({"timestamp": 3000, "input_length": 600, "output_length": 20, "hash_ids": [7, 8]}
{"timestamp": 1000, "input_length": 1024, "output_length": 0, "hash_ids": [7, 9]}
)";

TEST(Trace, ReadsLinesInOrderOfArrivalFromTheFirstOn) {
  const auto trace = parse_trace("t", kTwo);
  ASSERT_TRUE(trace.has_value()) << to_string(trace.error());
  ASSERT_EQ(trace->requests.size(), 2u);
  EXPECT_EQ(trace->block_tokens, 512u);
  EXPECT_EQ(trace->requests[0].arrives, Duration(0));
  EXPECT_EQ(trace->requests[0].output_tokens, 1u) << "an answer has a token at least";
  EXPECT_EQ(trace->requests[1].arrives, Duration(2s));
  EXPECT_EQ(trace->requests[1].prompt_tokens, 600u);
  EXPECT_EQ(trace->requests[1].blocks, (std::vector<std::uint64_t>{7, 8}));
}

TEST(Trace, ScaleShrinksLengthsAndBlocksAlike) {
  const auto trace = parse_trace("t", kTwo, 1.0 / 32);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->block_tokens, 16u);
  EXPECT_EQ(trace->requests[0].prompt_tokens, 32u);
  EXPECT_FALSE(parse_trace("t", kTwo, 0).has_value());
  EXPECT_FALSE(parse_trace("t", kTwo, 2).has_value());
}

TEST(Trace, AMalformedLineIsNamed) {
  for (const char* bad :
       {"[]", "{\"timestamp\": 1}",
        "{\"timestamp\": -1, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": []}",
        "{\"timestamp\": 1, \"input_length\": 0, \"output_length\": 1, \"hash_ids\": []}",
        "{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [\"x\"]}", "nonsense"}) {
    const auto trace = parse_trace("t", std::string(kTwo) + bad);
    ASSERT_FALSE(trace.has_value()) << bad;
    EXPECT_EQ(trace.error().code, Errc::file_malformed);
    EXPECT_NE(trace.error().detail.find("line 3"), std::string::npos) << trace.error().detail;
  }
  EXPECT_FALSE(parse_trace("t", "\n\n").has_value());
  EXPECT_EQ(read_trace("/nowhere/at/all").error().code, Errc::file_not_found);
}

TEST(ChatTrace, IsReproducibleAndSharesItsBeginnings) {
  const Trace trace = chat_trace({}), again = chat_trace({});
  ASSERT_GT(trace.requests.size(), 60u);
  ASSERT_EQ(trace.requests.size(), again.requests.size());
  std::set<std::uint64_t> beginnings, sessions;
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const TraceRequest& request = trace.requests[i];
    EXPECT_EQ(request.blocks, again.requests[i].blocks);
    EXPECT_LE(request.prompt_tokens, request.blocks.size() * trace.block_tokens);
    EXPECT_GT(request.prompt_tokens, (request.blocks.size() - 1) * trace.block_tokens);
    beginnings.insert(request.blocks.front());
    sessions.insert(request.session);
    EXPECT_GE(request.arrives, trace.requests[i == 0 ? 0 : i - 1].arrives);
  }
  EXPECT_EQ(beginnings.size(), 4u);
  EXPECT_EQ(sessions.size(), 60u);
}

}  // namespace
}  // namespace troupe::router
