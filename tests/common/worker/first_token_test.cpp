#include "common/worker/first_token.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

constexpr std::uint32_t kContext = 4096;

/// Everything that a draw depends on is set.
wire::Generate stream() {
  wire::Generate order;
  order.request = {7, 1};
  order.epoch = {3};
  order.model = {5, 5};
  order.tenant.assign(1, 't');
  order.prompt.assign(100, 9);
  order.prompt_tokens = 100;
  order.resumed_tokens = 4;
  order.first_choice = 2;
  order.max_tokens = 20;
  order.stop_tokens = {1, 2};
  order.sampling.p.temperature = 0.5f;
  order.sampling.p.seed = 99;
  order.sampling.p.logprobs = 3;
  order.sampling.p.dry.multiplier = 0.8f;
  order.rules.min_tokens = 6;
  order.reference = {4, 4, 4};
  order.drafter = "auto";
  return order;
}

wire::PrefillRequest asking(const wire::Generate& order) {
  wire::PrefillRequest ask;
  ask.request = order.request;
  ask.epoch = order.epoch;
  ask.tokens = 96;
  ask.prompt_tokens = order.prompt_tokens;
  ask.order = order_for_first(order);
  return ask;
}

TEST(FirstToken, WhatADrawDependsOnComesToWhoeverDraws) {
  const wire::Generate order = stream();
  const auto asked = stream_of(asking(order), kContext);
  ASSERT_TRUE(asked.has_value());
  const engine::Request mine = request_of(order), theirs = request_of(*asked);
  EXPECT_EQ(theirs.sampling.seed, 99u);
  EXPECT_EQ(theirs.sampling.temperature, mine.sampling.temperature);
  EXPECT_EQ(theirs.sampling.logprobs, 3u);
  EXPECT_EQ(theirs.sampling.dry.multiplier, 0.8f);
  EXPECT_EQ(theirs.rules.min_tokens, 6u);
  EXPECT_EQ(theirs.stop_tokens, mine.stop_tokens);
  EXPECT_EQ(theirs.resumed_tokens, 4u);
  EXPECT_EQ(theirs.first_choice, 2u);
  EXPECT_EQ(theirs.max_tokens, 20u);
  EXPECT_TRUE(asked->prompt.empty()) << "it travels once";
  EXPECT_TRUE(asked->reference.empty());
  EXPECT_TRUE(asked->drafter.empty());
}

TEST(FirstToken, WhatOnlyAStreamsOwnWorkerKeepsIsDrawnThere) {
  const auto refused = [](auto change) {
    wire::Generate order = stream();
    change(order);
    return order_for_first(order).empty();
  };
  EXPECT_FALSE(refused([](wire::Generate&) {}));
  EXPECT_TRUE(refused([](wire::Generate& o) { o.choices = 2; }));
  EXPECT_TRUE(refused([](wire::Generate& o) { o.beam.width = 2; }));
  EXPECT_TRUE(refused([](wire::Generate& o) { o.grammar.kind = grammar::Kind::regex; }));
  EXPECT_TRUE(refused([](wire::Generate& o) { o.prompt_logprobs = true; }));
  EXPECT_TRUE(refused([](wire::Generate& o) { o.max_tokens = 4; })) << "nothing is left to draw";
  EXPECT_TRUE(refused([](wire::Generate& o) { o.rules.allowed.assign(5000, 1); }))
      << "longer than a prompt beside it may be";
}

TEST(FirstToken, OrdersThatAreNotForThisPromptOrNotUnderstoodAreLeft) {
  const wire::PrefillRequest good = asking(stream());
  ASSERT_TRUE(stream_of(good, kContext).has_value());
  wire::PrefillRequest ask = good;
  ask.order.clear();
  EXPECT_FALSE(stream_of(ask, kContext).has_value());
  ask = good;
  ask.request = {8, 8};
  EXPECT_FALSE(stream_of(ask, kContext).has_value());
  ask = good;
  ask.prompt_tokens = 99;
  EXPECT_FALSE(stream_of(ask, kContext).has_value());
  ask = good;
  ask.order[0] = ask.order[2] = 200;  // of a release that asks for what is not known here
  EXPECT_FALSE(stream_of(ask, kContext).has_value());
  ask = good;
  ask.order.resize(20);
  EXPECT_FALSE(stream_of(ask, kContext).has_value());
  EXPECT_FALSE(stream_of(good, 100).has_value()) << "no room behind the prompt";
  EXPECT_EQ(prompt_tokens(good), 100u);
  EXPECT_EQ(prompt_tokens(wire::PrefillRequest{}), 0u);
}

TEST(FirstToken, AnAnswerEndsWithItAsInAnEngine) {
  wire::Generate order = stream();
  EXPECT_EQ(first_finish(order, 3, kContext), FinishReason::none);
  EXPECT_EQ(first_finish(order, 2, kContext), FinishReason::stop);
  EXPECT_EQ(first_finish(order, 3, 101), FinishReason::length);
  order.max_tokens = 5;
  EXPECT_EQ(first_finish(order, 3, kContext), FinishReason::length);
  EXPECT_EQ(first_finish(order, 1, kContext), FinishReason::stop);
}

TEST(FirstToken, ItSaysWhichTokenItIs) {
  wire::PrefillDone message;
  say_first(message, stream(), {42, -0.5f, {{42, -0.5f}}});
  ASSERT_TRUE(message.drawn.has_value());
  EXPECT_EQ(message.drawn->token, 42);
  EXPECT_EQ(message.drawn->top.size(), 1u);
  EXPECT_EQ(message.drawn_choice, 2u);
  EXPECT_EQ(message.drawn_index, 4u);
}

}  // namespace
}  // namespace troupe::worker
