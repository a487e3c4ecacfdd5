// Valid GGUF whose properties or tensors do not make a model: the error names file, key or tensor, found and expected.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/model/model_file.hpp"

namespace troupe {
namespace {

using ::testing::HasSubstr;
using testing::LoadedModel;
using testing::ModelFile;

struct Case {
  const char* name;
  ModelFile file;
  Errc code;
  std::vector<std::string> says;
};

ModelFile llama() { return ModelFile("llama"); }
ModelFile gemma3() { return ModelFile("gemma3"); }

std::vector<Case> key_cases() {
  constexpr Errc kMalformed = Errc::file_malformed;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  return {
      {"NoArchitecture", llama().drop("general.architecture"), kMalformed, {"general.architecture", "missing"}},
      {"UnknownArchitecture", llama().set("general.architecture", "rwkv7"), Errc::file_unsupported,
       {"general.architecture", "'rwkv7'", "llama, gemma3, qwen2, qwen3"}},
      {"ArchitectureOfNumber", llama().set("general.architecture", 3u), kMalformed, {"general.architecture", "found u32 3", "a string"}},
      {"NoLayers", llama().drop("block_count"), kMalformed, {"llama.block_count", "missing", "a whole number"}},
      {"ZeroLayers", llama().set("block_count", 0u), kMalformed, {"llama.block_count", "is 0", "1 to 1024"}},
      {"TooManyLayers", llama().set("block_count", 4000000000u), kMalformed, {"llama.block_count", "4000000000", "1 to 1024"}},
      {"NegativeLayers", llama().set("block_count", -1), kMalformed, {"block_count", "found i32 -1", "unsigned"}},
      {"LayersOfText", llama().set("block_count", "two"), kMalformed, {"block_count", "found string"}},
      {"ZeroWidth", llama().set("embedding_length", 0u), kMalformed, {"embedding_length", "is 0"}},
      {"NoFfn", llama().drop("feed_forward_length"), kMalformed, {"feed_forward_length", "missing"}},
      {"ZeroHeads", llama().set("attention.head_count", 0u), kMalformed, {"attention.head_count", "is 0"}},
      {"MoreKvHeadsThanHeads", llama().set("attention.head_count_kv", 3u), kMalformed, {"head_count_kv", "is 3", "1 to 2"}},
      {"KvHeadsNoDivisor", llama().set("attention.head_count", 3u).set("attention.head_count_kv", 2u), kMalformed,
       {"head_count_kv", "is 2", "divisor of head_count 3"}},
      {"OddHeadSize", llama().set("attention.key_length", 5u), kMalformed, {"attention.key_length", "is 5", "even"}},
      {"HeadSizeTooLarge", llama().set("attention.key_length", 2048u), kMalformed, {"attention.key_length", "is 2048", "2 to 1024"}},
      {"DerivedHeadSizeTooLarge", llama().drop("attention.key_length").set("embedding_length", 262144u), kMalformed,
       {"attention.key_length", "is 131072", "1024"}},
      {"DerivedHeadSizeZero", llama().drop("attention.key_length").set("attention.head_count", 16u), kMalformed,
       {"attention.key_length", "is 0"}},
      {"ZeroContext", llama().set("context_length", 0u), kMalformed, {"context_length", "is 0"}},
      {"EpsilonZero", llama().set("attention.layer_norm_rms_epsilon", 0.0f), kMalformed, {"layer_norm_rms_epsilon", "is 0"}},
      {"EpsilonNan", llama().set("attention.layer_norm_rms_epsilon", kNan), kMalformed, {"layer_norm_rms_epsilon", "finite"}},
      {"SoftcapNegative", llama().set("final_logit_softcapping", -1.0f), kMalformed, {"final_logit_softcapping", "is -1"}},
      {"RopeDimsOdd", llama().set("rope.dimension_count", 3u), kMalformed, {"rope.dimension_count", "is 3", "even"}},
      {"RopeDimsOverHead", llama().set("rope.dimension_count", 8u), kMalformed, {"rope.dimension_count", "is 8", "2 to 6"}},
      {"RopeBaseZero", llama().set("rope.freq_base", 0.0f), kMalformed, {"rope.freq_base", "is 0", "more than 1"}},
      {"RopeScalingUnknown", llama().set("rope.scaling.type", "yarn"), Errc::file_unsupported, {"rope.scaling.type", "'yarn'", "linear"}},
      {"RopeFactorZero", llama().set("rope.scaling.factor", 0.0f), kMalformed, {"rope.scaling.factor", "is 0"}},
      {"WindowZero", gemma3().set("attention.sliding_window", 0u), kMalformed, {"gemma3.attention.sliding_window", "is 0"}},
      {"WindowNegative", gemma3().set("attention.sliding_window", -5), kMalformed, {"attention.sliding_window", "found i32 -5"}},
      {"WindowOfFloat", gemma3().set("attention.sliding_window", 1e30f), kMalformed, {"attention.sliding_window", "found f32"}},
      {"PatternZero", gemma3().set("attention.sliding_window_pattern", 0u), kMalformed, {"sliding_window_pattern", "is 0"}},
      {"PatternTooShort", gemma3().set("attention.sliding_window_pattern", std::vector<bool>{true}), kMalformed,
       {"sliding_window_pattern", "1 elements", "expected 2"}},
      {"LocalBaseZero", gemma3().set("rope.freq_base_swa", 0.0f), kMalformed, {"rope.freq_base_swa", "is 0"}},
  };
}

std::vector<Case> tensor_cases() {
  constexpr Errc kMalformed = Errc::file_malformed;
  return {
      {"NoEmbedding", llama().drop_tensor("token_embd.weight"), kMalformed, {"token_embd.weight", "missing"}},
      {"EmbeddingOfOneDimension", llama().tensor("token_embd.weight", {80}), kMalformed, {"token_embd.weight", "1 dimensions"}},
      {"EmbeddingOfOtherWidth", llama().tensor("token_embd.weight", {4, 10}), kMalformed, {"token_embd.weight", "[4, 10]", "[8, 10]"}},
      {"NoOutputNorm", llama().drop_tensor("output_norm.weight"), kMalformed, {"output_norm.weight", "missing", "[8]"}},
      {"NoQueryOfLayerOne", llama().drop_tensor("blk.1.attn_q.weight"), kMalformed, {"blk.1.attn_q.weight", "missing", "[8, 12]"}},
      {"KeyTransposed", llama().tensor("blk.0.attn_k.weight", {6, 8}), kMalformed, {"blk.0.attn_k.weight", "[6, 8]", "[8, 6]"}},
      {"DownTooWide", llama().tensor("blk.1.ffn_down.weight", {16, 8, 2}), kMalformed, {"blk.1.ffn_down.weight", "[16, 8, 2]", "[16, 8]"}},
      {"HeadOfOtherVocab", llama().tensor("output.weight", {8, 11}), kMalformed, {"output.weight", "[8, 11]", "[8, 10]"}},
      {"HalfTheBiases", llama().tensor("blk.0.attn_q.bias", {12}), kMalformed, {"blk.0.attn_k.bias", "missing", "[6]"}},
      {"NoHeadNorm", ModelFile("qwen3").drop_tensor("blk.0.attn_q_norm.weight"), kMalformed, {"blk.0.attn_q_norm.weight", "[6]"}},
      {"NoPostNorm", gemma3().drop_tensor("blk.1.post_ffw_norm.weight"), kMalformed, {"blk.1.post_ffw_norm.weight", "[8]"}},
      {"FactorsOfOtherLength", llama().tensor("rope_freqs.weight", {4}, 1.0f), kMalformed, {"rope_freqs.weight", "4 elements", "3 elements"}},
      {"FactorsOfZero", llama().tensor("rope_freqs.weight", {3}, 0.0f), kMalformed, {"rope_freqs.weight", "holds 0", "positive"}},
      {"TensorNobodyReads", llama().tensor("blk.0.attn_output.bias", {8}), Errc::file_unsupported,
       {"blk.0.attn_output.bias", "[8]", "no such tensor in a llama"}},
      {"LayerTooMany", llama().tensor("blk.2.attn_norm.weight", {8}), Errc::file_unsupported, {"blk.2.attn_norm.weight"}},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = key_cases();
  for (const Case& c : tensor_cases()) cases.push_back(c);
  return cases;
}

class MalformedModel : public ::testing::TestWithParam<Case> {};

TEST_P(MalformedModel, IsRefusedNamingWhatIsWrong) {
  const LoadedModel loaded(GetParam().file);
  ASSERT_FALSE(loaded.model);
  EXPECT_EQ(loaded.model.error().code, GetParam().code);
  EXPECT_THAT(loaded.model.error().detail, HasSubstr("m.gguf: "));
  for (const std::string& part : GetParam().says) EXPECT_THAT(loaded.model.error().detail, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(Cases, MalformedModel, ::testing::ValuesIn(all_cases()),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace
}  // namespace troupe
