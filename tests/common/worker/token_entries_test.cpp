#include "common/worker/token_entries.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

wire::Tokens::Entry entry(std::uint32_t prompt, std::uint32_t tokens, std::size_t top) {
  wire::Tokens::Entry out;
  out.first_index = 7;
  out.finish = FinishReason::length;
  out.prompt_total = prompt;
  const auto make = [&](std::uint32_t i) {
    wire::WireToken token{static_cast<TokenId>(i), 0.5f, {}};
    token.top.assign(top, {1, 0.25f});
    return token;
  };
  for (std::uint32_t i = 0; i < prompt; ++i) out.prompt_tokens.push_back(make(i));
  for (std::uint32_t i = 0; i < tokens; ++i) out.tokens.push_back(make(1000 + i));
  return out;
}

TEST(TokenEntries, AShortEntryStaysWhole) {
  const auto parts = split_entry(entry(3, 4, 2), 10000);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].tokens.size(), 4u);
}

TEST(TokenEntries, ALongOneComesInPartsThatJoinWithoutGapsAndEndOnce) {
  const auto parts = split_entry(entry(5000, 300, 5), 20000);
  std::uint32_t prompt = 0, index = 7, ends = 0;
  bool tokens_began = false;
  for (const auto& part : parts) {
    EXPECT_LE(entry_bytes(part), 20000u);
    wire::Tokens message;
    message.entries.push_back(part);
    EXPECT_LE(wire::encode(message).size(), 20000u + 64) << "the estimate is an upper bound";
    EXPECT_EQ(part.prompt_total, 5000u);
    if (!part.prompt_tokens.empty()) {
      EXPECT_FALSE(tokens_began) << "the echo precedes the answer";
      EXPECT_EQ(part.prompt_first, prompt);
      prompt += static_cast<std::uint32_t>(part.prompt_tokens.size());
    }
    if (!part.tokens.empty()) {
      tokens_began = true;
      EXPECT_EQ(part.first_index, index);
      index += static_cast<std::uint32_t>(part.tokens.size());
    }
    ends += part.finish != FinishReason::none;
  }
  EXPECT_EQ(prompt, 5000u);
  EXPECT_EQ(index, 307u);
  EXPECT_EQ(ends, 1u);
  EXPECT_EQ(parts.back().finish, FinishReason::length);
}

TEST(TokenEntries, TokensSurviveTheWire) {
  const GeneratedToken token{5, -1.5f, {{5, -1.5f}, {9, -2.0f}}};
  EXPECT_EQ(from_wire(to_wire(token)), token);
}

}  // namespace
}  // namespace troupe::worker
