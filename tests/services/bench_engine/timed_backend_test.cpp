#include "services/bench/engine/timed_backend.hpp"

#include <gtest/gtest.h>

#include "common/engine/model_runner.hpp"
#include "tests/services/bench_engine/tiny.hpp"

namespace troupe::bench {
namespace {

std::vector<float> logits_of(engine::ModelRunner& runner, std::uint32_t rows) {
  engine::StepBatch batch;
  const std::uint32_t sequence = batch.add_sequence({0});
  for (std::uint32_t i = 0; i < rows; ++i) batch.add_row(sequence, static_cast<TokenId>(i + 3), i, i, i, i + 1 == rows);
  std::vector<float> found;
  runner.forward(batch, {}, [&](std::size_t, std::span<const float> logits) { found.assign(logits.begin(), logits.end()); });
  return found;
}

std::unique_ptr<engine::ModelRunner> runner_on(const TinyModel& tiny, std::shared_ptr<backend::Backend> backend) {
  return std::move(*engine::ModelRunner::create(tiny.model(), std::move(backend), 8, 2));
}

TEST(TimedBackend, ChangesNoBit) {
  const TinyModel tiny;
  const backend::CpuOptions cpu{.threads = 1};
  const auto plain = runner_on(tiny, std::move(*backend::make_cpu_backend(cpu)));
  const auto timed = runner_on(tiny, make_timed_backend(std::move(*backend::make_cpu_backend(cpu))));
  EXPECT_EQ(logits_of(*plain, 5), logits_of(*timed, 5));
}

TEST(TimedBackend, CountsProductsByRowsAndEveryMatrixOnce) {
  const TinyModel tiny;
  const auto timed = make_timed_backend(std::move(*backend::make_cpu_backend({.threads = 1})));
  const auto runner = runner_on(tiny, timed);
  const ModelConfig& c = tiny.model()->config();
  const double q = c.heads * c.key_dim, kv = c.kv_heads * c.key_dim;
  const double layer = c.width * (2 * q + 2 * kv + 3.0 * c.ffn_width), head = static_cast<double>(c.vocab) * c.width;

  timed->reset();
  (void)logits_of(*runner, 1);
  const OpCounts one = timed->counts();
  EXPECT_EQ(one.multiply_adds, c.layers * layer + head);
  EXPECT_GT(one.ops, c.layers * 10u);
  EXPECT_GT(one.total_seconds(), 0);

  timed->reset();
  (void)logits_of(*runner, 5);  // only the last row asks for logits
  const OpCounts five = timed->counts();
  EXPECT_EQ(five.multiply_adds, 5 * c.layers * layer + head);
  EXPECT_EQ(five.weight_bytes, one.weight_bytes);
  (void)logits_of(*runner, 5);
  EXPECT_EQ(timed->counts().weight_bytes, one.weight_bytes);
  EXPECT_EQ(timed->counts().multiply_adds, 2 * five.multiply_adds);
}

}  // namespace
}  // namespace troupe::bench
