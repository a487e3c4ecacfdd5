// Properties as each architecture's keys give them.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/model/model_file.hpp"

namespace troupe {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::LoadedModel;
using testing::ModelFile;

class Properties : public ::testing::Test {
 protected:
  const ModelConfig& of(const ModelFile& file) {
    loaded_ = std::make_unique<LoadedModel>(file);
    EXPECT_TRUE(loaded_->model) << to_string(loaded_->model.error());
    return (**loaded_).config();
  }
  std::unique_ptr<LoadedModel> loaded_;
};

TEST_F(Properties, OfLlamaComeFromItsKeys) {
  const ModelConfig& c = of(ModelFile("llama")
                                .set("rope.freq_base", 500000.0f)
                                .set("rope.dimension_count", 4u)
                                .set("attention.layer_norm_rms_epsilon", 0.25f)
                                .set("final_logit_softcapping", 30.0f)
                                .set("attn_logit_softcapping", 50.0f));
  EXPECT_EQ(c.architecture, "llama");
  EXPECT_EQ(c.layers, 2u);
  EXPECT_EQ(c.width, 8u);
  EXPECT_EQ(c.ffn_width, 16u);
  EXPECT_EQ(c.heads, 2u);
  EXPECT_EQ(c.kv_heads, 1u);
  EXPECT_EQ(c.key_dim, 6u);
  EXPECT_EQ(c.value_dim, 6u);
  EXPECT_EQ(c.vocab, 10u);
  EXPECT_EQ(c.context_length, 128u);
  EXPECT_EQ(c.norm_eps, 0.25f);
  EXPECT_EQ(c.logit_softcap, 30.0f);
  EXPECT_EQ(c.attention_softcap, 50.0f);
  EXPECT_EQ(c.rope_style, PairStyle::adjacent);
  EXPECT_EQ(c.activation, GateActivation::silu);
  ASSERT_EQ(c.ropes.size(), 1u);
  EXPECT_EQ(c.ropes[0].base, 500000.0);
  EXPECT_EQ(c.ropes[0].dims, 4u);
  EXPECT_EQ(c.ropes[0].scale, 1.0);
  EXPECT_THAT(c.window, ElementsAre(0, 0));
  EXPECT_EQ(c.embedding_scale, 1.0f);
  EXPECT_EQ(c.attention_scale, 1.0f / std::sqrt(6.0f));
  EXPECT_FALSE(c.qk_norm || c.post_norms || c.qkv_bias);
  EXPECT_TRUE(c.tied_head);
}

TEST_F(Properties, FallBackWhereKeysAreOptional) {
  ModelFile file("llama");
  file.drop("attention.key_length").drop("attention.head_count_kv");
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    for (const char* name : {"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight"})
      file.tensor(layer + name, {8, 8});
  }
  const ModelConfig& c = of(file);
  EXPECT_EQ(c.kv_heads, 2u);
  EXPECT_EQ(c.key_dim, 4u);
  EXPECT_EQ(c.ropes[0].dims, 4u);
  EXPECT_EQ(c.ropes[0].base, 10000.0);
  EXPECT_EQ(c.norm_eps, 1e-5f);
}

TEST_F(Properties, OwnHeadWhereTheFileHasOne) {
  EXPECT_FALSE(of(ModelFile("llama").tensor("output.weight", {8, 10})).tied_head);
}

TEST_F(Properties, LlamaWithBiasesUsesThem) {
  ModelFile file("llama");
  file.add_biases("blk.0.");
  file.add_biases("blk.1.");
  EXPECT_TRUE(of(file).qkv_bias);
}

TEST_F(Properties, LinearScalingDividesPositions) {
  EXPECT_EQ(of(ModelFile("llama").set("rope.scaling.type", "linear").set("rope.scaling.factor", 4.0f)).ropes[0].scale, 0.25);
  EXPECT_EQ(of(ModelFile("llama").set("rope.scaling.type", "none").set("rope.scaling.factor", 4.0f)).ropes[0].scale, 1.0);
}

TEST_F(Properties, FrequencyFactorsComeFromTheirTensor) {
  EXPECT_THAT(of(ModelFile("llama").tensor("rope_freqs.weight", {3}, 2.0f)).ropes[0].freq_factors, ElementsAre(2, 2, 2));
}

TEST_F(Properties, OfGemma3AlternateWindowsAndBases) {
  const ModelConfig& c = of(ModelFile("gemma3", 7)
                                .set("attention.sliding_window", 512u)
                                .set("rope.freq_base", 1000000.0f)
                                .set("rope.scaling.type", "linear")
                                .set("rope.scaling.factor", 8.0f));
  EXPECT_THAT(c.window, ElementsAre(512, 512, 512, 512, 512, 0, 512));
  EXPECT_THAT(c.rope_of, ElementsAre(1, 1, 1, 1, 1, 0, 1));
  ASSERT_EQ(c.ropes.size(), 2u);
  EXPECT_EQ(c.ropes[0].base, 1000000.0);
  EXPECT_EQ(c.ropes[0].scale, 0.125);
  EXPECT_EQ(c.ropes[1].base, 10000.0);
  EXPECT_EQ(c.ropes[1].scale, 1.0);
  EXPECT_TRUE(c.qk_norm && c.post_norms);
  EXPECT_EQ(c.rope_style, PairStyle::half);
  EXPECT_EQ(c.activation, GateActivation::gelu_tanh);
  EXPECT_EQ(c.embedding_scale, std::sqrt(8.0f));
  EXPECT_EQ(c.attention_scale, 1.0f / std::sqrt(6.0f));
}

TEST_F(Properties, OfGemma3FollowTheFilesOwnPattern) {
  EXPECT_THAT(of(ModelFile("gemma3", 4).set("attention.sliding_window_pattern", 2u)).window, ElementsAre(512, 0, 512, 0));
  EXPECT_THAT(of(ModelFile("gemma3", 3).set("attention.sliding_window_pattern", std::vector<bool>{false, true, true})).window,
              ElementsAre(0, 512, 512));
}

TEST_F(Properties, OfTheLargestGemma3ScaleByWidthOverHeads) {
  EXPECT_EQ(of(ModelFile("gemma3", 62)).attention_scale, 1.0f / std::sqrt(4.0f));
}

TEST_F(Properties, OfQwenDifferInBiasAndHeadNorm) {
  const ModelConfig qwen2 = of(ModelFile("qwen2"));
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  EXPECT_EQ(qwen2.rope_style, PairStyle::half);
  const ModelConfig qwen3 = of(ModelFile("qwen3"));
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_FALSE(qwen3.post_norms);
  EXPECT_EQ(qwen3.rope_style, PairStyle::half);
  EXPECT_THAT(qwen3.window, Each(0));
}

}  // namespace
}  // namespace troupe
