#include "common/encoder/encoder_engine.hpp"

#include <cmath>
#include <functional>

#include "tests/common/encoder/tiny_bert.hpp"

namespace troupe::encoder {
namespace {

using engine::Request;
using namespace std::chrono_literals;

Request text(std::uint64_t id, std::size_t tokens) {
  std::mt19937_64 random(id);
  Request request;
  request.id = {4, id};
  request.max_tokens = 0;
  request.pooling = Pooling::mean;
  for (std::size_t i = 0; i < tokens; ++i) request.prompt.push_back(static_cast<TokenId>(random() % 50));
  return request;
}

struct Rig {
  explicit Rig(EncoderOptions options = {}) {
    auto made = make_encoder_engine(tiny.file, float_backend(), options, clock);
    EXPECT_TRUE(made.has_value());
    engine = std::move(*made);
  }
  std::map<RequestId, std::vector<float>> run() {
    std::map<RequestId, std::vector<float>> vectors;
    while (engine->has_work()) {
      for (const engine::TokenEvent& event : engine->step().tokens) {
        EXPECT_EQ(event.finish, FinishReason::stop);
        EXPECT_TRUE(vectors.emplace(event.id, event.vector).second);
        order.push_back(event.id.low);
      }
    }
    return vectors;
  }
  TinyBert tiny;
  ManualClock clock;
  std::unique_ptr<engine::Engine> engine;
  std::vector<std::uint64_t> order;
};

TEST(EncoderEngine, AVectorIsTheSameWhateverIsComputedBesideIt) {
  Rig rig(EncoderOptions{.token_budget = 64});
  std::map<RequestId, std::vector<float>> alone;
  for (std::uint64_t id = 1; id <= 12; ++id) {
    ASSERT_TRUE(rig.engine->submit(text(id, id * 4)).has_value());
    alone.merge(rig.run());
  }
  const std::uint64_t steps = rig.engine->stats().steps;
  EXPECT_EQ(steps, 12u);
  for (std::uint64_t id = 1; id <= 12; ++id) ASSERT_TRUE(rig.engine->submit(text(id, id * 4)).has_value());
  EXPECT_EQ(rig.run(), alone);
  EXPECT_LT(rig.engine->stats().steps - steps, 12u) << "several a step";
  for (const auto& [id, vector] : alone) {
    double squares = 0;
    for (const float value : vector) squares += double{value} * value;
    EXPECT_NEAR(squares, 1, 1e-6);
  }
  EXPECT_EQ(rig.engine->stats().prompt_tokens, 2u * 4 * 78);
}

TEST(EncoderEngine, HigherPrioritiesGoFirstThenWhoCameFirst) {
  Rig rig(EncoderOptions{.token_budget = 1});
  for (std::uint64_t id = 1; id <= 4; ++id) {
    Request request = text(id, 5);
    request.priority = id == 3 ? 1 : 0;
    ASSERT_TRUE(rig.engine->submit(std::move(request)).has_value());
  }
  (void)rig.run();
  EXPECT_EQ(rig.order, (std::vector<std::uint64_t>{3, 1, 2, 4}));
}

TEST(EncoderEngine, WhatItCannotDoIsRefused) {
  Rig rig(EncoderOptions{.queue = 2});
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request request = text(9, 5);
    change(request);
    const auto done = rig.engine->submit(std::move(request));
    return done ? Errc::internal : done.error().code;
  };
  EXPECT_EQ(refused([](Request& r) { r.pooling = Pooling::none; }), Errc::invalid_argument)
      << "it makes no text";
  EXPECT_EQ(refused([](Request& r) { r.pooling = Pooling::last; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](Request& r) { r.prompt.clear(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](Request& r) { r.prompt[2] = 50; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](Request& r) { r.prompt[2] = -1; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](Request& r) { r.choices = 2; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](Request& r) { r.prompt.resize(49, 1); }), Errc::context_length_exceeded);
  EXPECT_FALSE(rig.engine->reserve_import(text(9, 5), 4).has_value());
  EXPECT_FALSE(rig.engine->submit_prefill(text(9, 5), 4, {}).has_value());
  ASSERT_TRUE(rig.engine->submit(text(1, 48)).has_value());
  ASSERT_TRUE(rig.engine->submit(text(2, 5)).has_value());
  EXPECT_EQ(refused([](Request&) {}), Errc::queue_full);
  EXPECT_EQ(rig.engine->stats().waiting, 2u);
  EXPECT_EQ(rig.engine->stats().queued_prompt_tokens, 53u);
}

TEST(EncoderEngine, DeadlinesAndCancelsEndWhatWaits) {
  Rig rig;
  Request late = text(1, 5);
  late.deadline = rig.clock.now() + 1s;
  ASSERT_TRUE(rig.engine->submit(late).has_value());
  ASSERT_TRUE(rig.engine->submit(text(2, 5)).has_value());
  ASSERT_TRUE(rig.engine->submit(text(3, 5)).has_value());
  rig.engine->cancel({4, 2});
  rig.clock.advance(2s);
  const auto out = rig.engine->step();
  ASSERT_EQ(out.tokens.size(), 2u);
  EXPECT_EQ(out.tokens[0].error->code, Errc::deadline_exceeded);
  EXPECT_EQ(out.tokens[1].id.low, 3u);
  EXPECT_FALSE(out.tokens[1].vector.empty());
  EXPECT_FALSE(rig.engine->has_work());
}

TEST(EncoderEngine, AStepThatIsInterruptedIsMadeAgain) {
  Rig rig;
  ASSERT_TRUE(rig.engine->submit(text(1, 20)).has_value());
  EXPECT_TRUE(rig.engine->step([] { return true; }).tokens.empty());
  EXPECT_TRUE(rig.engine->has_work());
  const auto again = rig.run();
  ASSERT_TRUE(rig.engine->submit(text(1, 20)).has_value());
  EXPECT_EQ(rig.run(), again);
  EXPECT_GT(rig.engine->progress(), 0u);
}

TEST(EncoderEngine, ItsStagesAreTold) {
  Rig rig;
  Request request = text(1, 5);
  request.traced = true;
  request.arrived = rig.clock.now();
  rig.clock.advance(3s);
  ASSERT_TRUE(rig.engine->submit(std::move(request)).has_value());
  const auto out = rig.engine->step();
  ASSERT_EQ(out.tokens.size(), 1u);
  ASSERT_TRUE(out.tokens[0].news);
  EXPECT_EQ(out.tokens[0].times->admitted - out.tokens[0].times->queued, Duration(3s));
  EXPECT_EQ(out.rows, 5u);
}

}  // namespace
}  // namespace troupe::encoder
