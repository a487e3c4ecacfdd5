#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/common/model/model_file.hpp"

namespace troupe {
namespace {

using testing::LoadedModel;
using testing::ModelFile;

TEST(Model, FindsTensorsByRoleAndLayer) {
  const LoadedModel loaded(ModelFile("llama").tensor("output.weight", {8, 10}));
  ASSERT_TRUE(loaded.model);
  EXPECT_EQ((*loaded).find(TensorRole::token_embd)->name, "token_embd.weight");
  EXPECT_EQ((*loaded).find(TensorRole::token_embd, 7)->name, "token_embd.weight");
  EXPECT_EQ((*loaded).find(TensorRole::output)->name, "output.weight");
  EXPECT_EQ((*loaded).find(TensorRole::ffn_down, 1)->name, "blk.1.ffn_down.weight");
  EXPECT_EQ((*loaded).find(TensorRole::ffn_down, 2), nullptr);
  EXPECT_EQ((*loaded).find(TensorRole::attn_q_norm, 0), nullptr);
}

TEST(Model, AcceptsTrailingDimensionsOfOne) {
  const LoadedModel loaded(ModelFile("llama").tensor("output_norm.weight", {8, 1}));
  EXPECT_TRUE(loaded.model) << to_string(loaded.model.error());
}

TEST(Model, CountsTheBytesOfItsWeights) {
  const ModelFile file("llama");
  std::uint64_t bytes = 0;
  for (const auto& [name, shape] : file.tensors) {
    bytes += 4 * std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
  }
  EXPECT_EQ((*LoadedModel(file)).weight_bytes(), bytes);
}

class ModelIdentity : public ::testing::Test {
 protected:
  static ModelId id(const ModelFile& file, const char* numerics = "n1") {
    const LoadedModel loaded(file);
    EXPECT_TRUE(loaded.model);
    return (*loaded).id(numerics);
  }
  const ModelId base_ = id(ModelFile("llama"));
};

TEST_F(ModelIdentity, IsTheSameForTheSameFileAndNumerics) { EXPECT_EQ(id(ModelFile("llama")), base_); }

TEST_F(ModelIdentity, ChangesWithTheNumerics) { EXPECT_NE(id(ModelFile("llama"), "n2"), base_); }

TEST_F(ModelIdentity, ChangesWithOneWeight) {
  EXPECT_NE(id(ModelFile("llama").tensor("blk.0.ffn_up.weight", {8, 16}, 1e-30f)), base_);
}

TEST_F(ModelIdentity, ChangesWithAProperty) {
  EXPECT_NE(id(ModelFile("llama").set("attention.layer_norm_rms_epsilon", 1.5e-5f)), base_);
}

TEST_F(ModelIdentity, ChangesWithTheLastElementOfALongProperty) {
  std::vector<bool> pattern(60, true);
  const ModelId before = id(ModelFile("gemma3", 60).set("attention.sliding_window_pattern", pattern));
  pattern.back() = false;
  EXPECT_NE(id(ModelFile("gemma3", 60).set("attention.sliding_window_pattern", pattern)), before);
}

TEST(Model, NamesAFileThatIsNotThere) {
  const auto model = Model::load("absent/m.gguf");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Errc::file_not_found);
}

std::filesystem::path real_model(const char* name) {
  if (const char* folder = std::getenv("TROUPE_MODELS")) return std::filesystem::path(folder) / name;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const auto base = cache != nullptr && *cache != '\0' ? std::filesystem::path(cache)
                                                       : std::filesystem::path(home != nullptr ? home : "/") / ".cache";
  return base / "troupe/models" / name;
}

TEST(RealModel, SmolLm2LoadsWithItsProperties) {
  const auto path = real_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto model = Model::load(path);
  ASSERT_TRUE(model) << to_string(model.error());
  const ModelConfig& c = (*model)->config();
  EXPECT_EQ(c.layers, 30u);
  EXPECT_EQ(c.vocab, 49152u);
  EXPECT_EQ(c.key_dim, 64u);
  EXPECT_EQ(c.ropes[0].base, 100000.0);
  EXPECT_TRUE(c.tied_head);
}

TEST(RealModel, Gemma3LoadsWithItsProperties) {
  const auto path = real_model("gemma-3-270m.Q4_K_M.gguf");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto model = Model::load(path);
  ASSERT_TRUE(model) << to_string(model.error());
  const ModelConfig& c = (*model)->config();
  EXPECT_EQ(c.layers, 18u);
  EXPECT_EQ(c.key_dim, 256u);
  EXPECT_EQ(c.kv_heads, 1u);
  EXPECT_EQ(c.window[4], 512u);
  EXPECT_EQ(c.window[5], 0u);
  EXPECT_EQ(c.ropes[c.rope_of[5]].base, 1000000.0);
  EXPECT_EQ(c.ropes[c.rope_of[4]].base, 10000.0);
}

}  // namespace
}  // namespace troupe
