// Tree rows, as verification of drafts sends them: each says what plain decoding of its path says, bit for bit.
#include "common/engine/model_runner.hpp"

#include <cmath>
#include <numeric>

#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

using Logits = std::vector<float>;

constexpr std::uint32_t kPages = 24;
constexpr std::uint32_t kPagesEach = 3;

/// A runner, and sequences that own pages [kPagesEach * n, kPagesEach * (n + 1)).
class Bench {
 public:
  Bench(const std::string& shape, backend::CpuOptions cpu) {
    auto made = backend::make_cpu_backend(cpu);
    EXPECT_TRUE(made.has_value());
    auto runner = ModelRunner::create(tiny_model(shape), std::shared_ptr<backend::Backend>(std::move(*made)), 256, kPages);
    EXPECT_TRUE(runner.has_value());
    runner_ = std::move(*runner);
  }

  /// Page tables run backwards, so that nothing relies on neighbouring pages.
  static std::vector<std::uint32_t> table(std::uint32_t sequence) {
    std::vector<std::uint32_t> pages(kPagesEach);
    std::iota(pages.rbegin(), pages.rend(), sequence * kPagesEach);
    return pages;
  }
  static std::uint32_t slot(std::uint32_t sequence, std::uint32_t index) { return table(sequence)[index / 64] * 64 + index % 64; }

  /// Causal rows of `tokens` from logical index `begin` on; the logits of the last one.
  Logits plain(std::uint32_t sequence, std::uint32_t begin, const std::vector<TokenId>& tokens) {
    StepBatch batch;
    const std::uint32_t at = batch.add_sequence(table(sequence));
    for (std::uint32_t i = 0; i < tokens.size(); ++i)
      batch.add_row(at, tokens[i], begin + i, slot(sequence, begin + i), begin + i, i + 1 == tokens.size());
    return forward(batch).at(0);
  }

  std::vector<Logits> forward(const StepBatch& batch) {
    std::vector<Logits> out;
    EXPECT_TRUE(runner_->forward(batch, {}, [&](std::size_t, std::span<const float> x) { out.emplace_back(x.begin(), x.end()); }));
    return out;
  }
  ModelRunner& runner() { return *runner_; }

 private:
  std::unique_ptr<ModelRunner> runner_;
};

struct Node {
  TokenId token;
  int parent;  ///< -1: follows the prompt
};
//            0 ── 1 ── 3 ── 5 ── 8
//              └─ 2 ── 4 ── 6
//                      └── 7
const std::vector<Node> kTree = {{21, -1}, {22, 0}, {23, 0}, {24, 1}, {25, 2}, {26, 3}, {27, 4}, {28, 4}, {29, 5}};

std::vector<std::uint32_t> path_to(std::uint32_t node) {
  std::vector<std::uint32_t> path;
  for (int at = static_cast<int>(node); at >= 0; at = kTree[static_cast<std::size_t>(at)].parent)
    path.insert(path.begin(), static_cast<std::uint32_t>(at));
  return path;
}

StepBatch tree_rows(std::uint32_t sequence, std::uint32_t prefix) {
  StepBatch batch;
  const std::uint32_t at = batch.add_sequence(Bench::table(sequence));
  for (std::uint32_t node = 0; node < kTree.size(); ++node) {
    const auto path = path_to(node);
    const auto depth = static_cast<std::uint32_t>(path.size() - 1);
    batch.add_row(at, kTree[node].token, prefix + depth, Bench::slot(sequence, prefix + node), prefix, true);
    backend::AttentionRow& row = batch.attention.rows.back();
    row = {at, prefix, static_cast<std::uint32_t>(batch.attention.extras.size()), static_cast<std::uint32_t>(path.size())};
    for (const std::uint32_t ancestor : path) batch.attention.extras.push_back(prefix + ancestor);
  }
  return batch;
}

struct Case {
  const char* shape;
  std::uint32_t prefix;  ///< the tree's rows stand within a page, cross into the next one, or lie past the window
};

class TreeRows : public ::testing::TestWithParam<Case> {};

TEST_P(TreeRows, EqualPlainDecodingOfTheirPathsBitForBit) {
  for (const backend::Isa isa : backend::supported_isas()) {
    Bench bench(GetParam().shape, {.threads = 1, .isa = isa});
    std::vector<TokenId> prompt(GetParam().prefix);
    for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(30 + i * 7 % 200);
    (void)bench.plain(0, 0, prompt);
    const std::vector<Logits> tree = bench.forward(tree_rows(0, GetParam().prefix));
    ASSERT_EQ(tree.size(), kTree.size());
    for (std::uint32_t node = 0; node < kTree.size(); ++node) {
      (void)bench.plain(1, 0, prompt);
      Logits expected;
      std::uint32_t index = GetParam().prefix;
      for (const std::uint32_t step : path_to(node)) expected = bench.plain(1, index++, {kTree[step].token});
      EXPECT_TRUE(tree[node] == expected) << "node " << node << ", isa " << static_cast<int>(isa);
    }
  }
}

TEST_P(TreeRows, AnAcceptedPathIsMovedIntoPlaceAndGoesOn) {
  Bench bench(GetParam().shape, {.threads = 1});
  std::vector<TokenId> prompt(GetParam().prefix);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(30 + i * 7 % 200);
  (void)bench.plain(0, 0, prompt);
  (void)bench.plain(1, 0, prompt);
  (void)bench.forward(tree_rows(0, GetParam().prefix));
  std::uint32_t index = GetParam().prefix;
  for (const std::uint32_t node : path_to(7)) {  // 0, 2, 4, 7: three of its rows stand elsewhere
    const std::uint32_t from = Bench::slot(0, GetParam().prefix + node), to = Bench::slot(0, index);
    if (from != to) bench.runner().move_slot(from, to);
    (void)bench.plain(1, index++, {kTree[node].token});
  }
  for (std::uint32_t i = 0; i < 3; ++i, ++index) {
    const auto token = static_cast<TokenId>(90 + i);
    EXPECT_TRUE(bench.plain(0, index, {token}) == bench.plain(1, index, {token})) << "token " << i << " after the path";
  }
}

/// Logits of one row behind a prompt, whose input is `parts` where there are any.
Logits blended(Bench& bench, TokenId token, const std::vector<std::pair<TokenId, float>>& parts) {
  std::vector<TokenId> prompt(40);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(30 + i * 7 % 200);
  (void)bench.plain(0, 0, prompt);
  StepBatch batch;
  batch.add_row(batch.add_sequence(Bench::table(0)), token, 40, Bench::slot(0, 40), 40, true);
  for (const auto& [part, weight] : parts) batch.blend(part, weight);
  return bench.forward(batch).at(0);
}

TEST(BlendedRows, OnePartIsItsTokenBitForBitAndMoreAreTheirSum) {
  for (const char* shape : {"tiny-llama", "tiny-gemma3"}) {
    for (const backend::Isa isa : backend::supported_isas()) {
      Bench bench(shape, {.threads = 1, .isa = isa});
      const Logits one = blended(bench, 21, {}), other = blended(bench, 90, {});
      EXPECT_FALSE(one == other);
      EXPECT_TRUE(blended(bench, 90, {{21, 1.0f}}) == one) << "whatever the row is called";
      EXPECT_TRUE(blended(bench, 21, {{21, 0.25f}, {21, 0.75f}}) == one);
      EXPECT_TRUE(blended(bench, 21, {{90, 0.0f}, {21, 1.0f}}) == one);
      const Logits both = blended(bench, 21, {{21, 0.5f}, {90, 0.5f}});
      EXPECT_FALSE(both == one);
      EXPECT_FALSE(both == other);
      EXPECT_TRUE(blended(bench, 21, {{90, 0.5f}, {21, 0.5f}}) == both);
    }
  }
}

/// 513 parts of three blends beside a plain row, in a runner of 256 rows; sums of 256 parts of 1/256 are exact.
TEST(BlendedRows, MayHaveMorePartsThanAStepHasRows) {
  Bench bench("tiny-llama", {.threads = 1});
  StepBatch batch;
  const std::vector<TokenId> tokens = {21, 90, 33, 40};
  for (std::uint32_t i = 0; i < tokens.size(); ++i) {
    batch.add_row(batch.add_sequence(Bench::table(i)), i == 2 ? tokens[i] : 5, 0, Bench::slot(i, 0), 0, true);
    if (i == 0) batch.blend(tokens[i], 1.0f);
    if (i == 1 || i == 3)
      for (int part = 0; part < 256; ++part) batch.blend(tokens[i], 1.0f / 256);
  }
  ASSERT_EQ(batch.blends.size(), 3u);
  ASSERT_EQ(batch.blend_tokens.size(), 513u);
  const std::vector<Logits> rows = bench.forward(batch);
  for (std::uint32_t i = 0; i < tokens.size(); ++i)
    EXPECT_TRUE(rows[i] == bench.plain(5, 0, {tokens[i]})) << i;
  batch.clear();
  batch.add_row(batch.add_sequence(Bench::table(0)), 21, 0, Bench::slot(0, 0), 0, true);
  EXPECT_TRUE(bench.forward(batch).at(0) == rows[0]) << "a batch that was cleared blends nothing";
}

// Cached text moves to another place in a prompt (PIE, APE, InfLLM): what a page holds, with its positions and the layer's
// rope base, is enough to turn its keys there.
class MovedKeys : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::uint32_t kDelta = 300;

  /// Keys [G, d, 64] of the first page of each layer, of 64 tokens from `position` on.
  static std::vector<std::vector<float>> keys(Bench& bench, std::uint32_t position) {
    StepBatch batch;
    const std::uint32_t at = batch.add_sequence(Bench::table(0));
    for (std::uint32_t i = 0; i < 64; ++i)
      batch.add_row(at, static_cast<TokenId>(30 + i * 7 % 200), position + i, Bench::slot(0, i), i, i == 63);
    (void)bench.forward(batch);
    const backend::KvLayout layout = bench.runner().kv_layout();
    EXPECT_EQ(layout.dtype, backend::DType::f32);
    std::vector<std::vector<float>> out;
    std::vector<float> page(layout.layer_page_bytes() / sizeof(float));
    for (std::uint32_t layer = 0; layer < layout.layers; ++layer) {
      bench.runner().export_page(layer, Bench::table(0)[0], std::as_writable_bytes(std::span(page)));
      out.emplace_back(page.begin(), page.begin() + layout.kv_heads * layout.key_dim * 64);
    }
    return out;
  }

  static void turn(std::vector<float>& keys, const ModelConfig& config, std::uint32_t layer, double delta) {
    const RopeSpec& rope = config.ropes[config.rope_of[layer]];
    const std::uint32_t half = rope.dims / 2;
    for (std::uint32_t head = 0; head < config.kv_heads; ++head) {
      for (std::uint32_t pair = 0; pair < half; ++pair) {
        const bool adjacent = config.rope_style == PairStyle::adjacent;
        const std::uint32_t a = adjacent ? 2 * pair : pair, b = adjacent ? a + 1 : pair + half;
        const double angle = delta * rope.scale * std::pow(rope.base, -2.0 * pair / rope.dims);
        float* first = &keys[(std::size_t{head} * config.key_dim + a) * 64];
        float* second = &keys[(std::size_t{head} * config.key_dim + b) * 64];
        for (std::uint32_t slot = 0; slot < 64; ++slot) {
          const double x = first[slot], y = second[slot];
          first[slot] = static_cast<float>(x * std::cos(angle) - y * std::sin(angle));
          second[slot] = static_cast<float>(x * std::sin(angle) + y * std::cos(angle));
        }
      }
    }
  }
};

TEST_P(MovedKeys, TurnedByTheDistanceEqualThoseComputedThere) {
  Bench bench(GetParam(), {.threads = 1, .numerics = backend::Numerics::reference});
  const auto model = tiny_model(GetParam());
  auto moved = keys(bench, 0);
  const auto there = keys(bench, kDelta);
  for (std::uint32_t layer = 0; layer < there.size(); ++layer) {
    float largest = 0, apart_before = 0, apart = 0;
    const auto before = moved[layer];
    turn(moved[layer], model->config(), layer, kDelta);
    for (std::size_t i = 0; i < before.size(); ++i) {
      largest = std::max(largest, std::abs(there[layer][i]));
      apart_before = std::max(apart_before, std::abs(there[layer][i] - before[i]));
      apart = std::max(apart, std::abs(there[layer][i] - moved[layer][i]));
    }
    EXPECT_GT(apart_before, 0.1f * largest) << "layer " << layer << ": nothing was to be turned";
    EXPECT_LT(apart, 2e-4f * largest) << "layer " << layer;
  }
}

INSTANTIATE_TEST_SUITE_P(ModelRunner, MovedKeys, ::testing::Values("tiny-llama", "tiny-gemma3", "tiny-qwen3"),
                         [](const auto& instance) { return std::string(instance.param + 5); });

INSTANTIATE_TEST_SUITE_P(ModelRunner, TreeRows,
                         ::testing::Values(Case{"tiny-llama", 10}, Case{"tiny-llama", 60}, Case{"tiny-llama", 127},
                                           Case{"tiny-gemma3", 61}, Case{"tiny-gemma3", 130}, Case{"tiny-qwen3", 64}),
                         [](const auto& instance) {
                           std::string name = instance.param.shape + std::string("_") + std::to_string(instance.param.prefix);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ModelRunner, StopsBetweenLayersWhenAskedTo) {
  Bench bench("tiny-llama", {.threads = 1});
  StepBatch batch;
  batch.add_row(batch.add_sequence(Bench::table(0)), 5, 0, Bench::slot(0, 0), 0, true);
  std::vector<std::uint32_t> layers;
  int logits = 0;
  EXPECT_FALSE(bench.runner().forward(
      batch,
      [&](std::uint32_t layer) {
        layers.push_back(layer);
        return layer < 1;
      },
      [&](std::size_t, std::span<const float>) { ++logits; }));
  EXPECT_EQ(layers, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(logits, 0);
}

}  // namespace
}  // namespace troupe::engine
