// Every architecture of the registry has a small shaped model that loads whole; so a new entry cannot come without one.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/model/architectures/architecture.hpp"
#include "common/model/model.hpp"
#include "tests/support/shaped_model.hpp"

namespace troupe {
namespace {

using gguf::TensorType;

class TemporaryFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("troupe-model-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path make(std::string_view shape, TensorType type, std::uint64_t seed, const char* name = "m.gguf") {
    const auto written = write_shaped_model(shape, type, seed, folder_ / name);
    EXPECT_TRUE(written) << to_string(written.error());
    return folder_ / name;
  }
  static std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path folder_;
};

class ArchitectureConformance : public TemporaryFolder, public ::testing::WithParamInterface<std::string> {};

TEST_P(ArchitectureConformance, LoadsItsShapedModelWithEveryTensor) {
  const auto model = Model::load(make("tiny-" + GetParam(), TensorType::q8_0, 1));
  ASSERT_TRUE(model) << to_string(model.error());
  const ModelConfig& config = (*model)->config();
  EXPECT_EQ(config.architecture, GetParam());
  std::size_t found = 0;
  for (const TensorSpec& spec : tensor_specs(config, std::nullopt)) found += (*model)->find(spec.role)->name == spec.name;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    for (const TensorSpec& spec : tensor_specs(config, layer)) found += (*model)->find(spec.role, layer)->name == spec.name;
  }
  EXPECT_EQ(found, (*model)->file().tensors().size());
}

TEST_P(ArchitectureConformance, GivesConsistentProperties) {
  const auto model = Model::load(make("tiny-" + GetParam(), TensorType::q8_0, 1));
  ASSERT_TRUE(model);
  const ModelConfig& c = (*model)->config();
  EXPECT_EQ(c.heads % c.kv_heads, 0u);
  EXPECT_EQ(c.window.size(), c.layers);
  ASSERT_EQ(c.rope_of.size(), c.layers);
  for (const std::uint8_t rope : c.rope_of) EXPECT_LT(rope, c.ropes.size());
  for (const RopeSpec& rope : c.ropes) EXPECT_LE(rope.dims, c.key_dim);
  EXPECT_GT(c.attention_scale, 0.0f);
  EXPECT_GT(c.embedding_scale, 0.0f);
}

TEST_P(ArchitectureConformance, SaysWhatItIsAndWhereItComesFrom) {
  for (const ArchitectureEntry& entry : builtin_architectures()) {
    if (entry.name != GetParam()) continue;
    EXPECT_FALSE(entry.summary.empty());
    EXPECT_FALSE(entry.source.empty());
  }
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const ArchitectureEntry& entry : builtin_architectures()) out.emplace_back(entry.name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Architectures, ArchitectureConformance, ::testing::ValuesIn(names()),
                         [](const auto& chosen) { return chosen.param; });

class ShapedModel : public TemporaryFolder {};

TEST_F(ShapedModel, IsTheSameForTheSameSeedOnly) {
  const std::string first = contents(make("tiny-qwen2", TensorType::q4_0, 5, "a.gguf"));
  EXPECT_EQ(contents(make("tiny-qwen2", TensorType::q4_0, 5, "b.gguf")), first);
  EXPECT_NE(contents(make("tiny-qwen2", TensorType::q4_0, 6, "c.gguf")), first);
}

TEST_F(ShapedModel, ComesInEveryTypeThatItsWidthAllows) {
  for (const TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::q4_0, TensorType::q4_1,
                                TensorType::q5_0, TensorType::q5_1, TensorType::q8_0}) {
    const auto model = Model::load(make("tiny-llama", type, 1));
    ASSERT_TRUE(model) << to_string(model.error());
    EXPECT_EQ((*model)->find(TensorRole::ffn_down, 0)->type, type);
  }
}

TEST_F(ShapedModel, ComesInEveryKTypeWhereRowsAreWideEnough) {
  for (const TensorType type : {TensorType::q2_k, TensorType::q3_k, TensorType::q4_k, TensorType::q5_k, TensorType::q6_k}) {
    const auto model = Model::load(make("tiny-llama-k", type, 1));
    ASSERT_TRUE(model) << to_string(model.error());
    EXPECT_EQ((*model)->find(TensorRole::attn_output, 1)->type, type);
  }
}

TEST_F(ShapedModel, NamesTheKnownShapesAndTheTensorThatDoesNotFit) {
  const auto unknown = write_shaped_model("huge", TensorType::f32, 1, folder_ / "m.gguf");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().detail, ::testing::HasSubstr("tiny-llama"));
  const auto narrow = write_shaped_model("tiny-llama", TensorType::q4_k, 1, folder_ / "m.gguf");
  ASSERT_FALSE(narrow);
  EXPECT_EQ(narrow.error().code, Errc::shape_mismatch);
  EXPECT_THAT(narrow.error().detail, ::testing::HasSubstr("token_embd.weight"));
}

}  // namespace
}  // namespace troupe
