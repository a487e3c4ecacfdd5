#include "common/tokenizer/pre_tokenizer.hpp"

#include <algorithm>

namespace troupe {
namespace {

namespace st = pre_tokenizer_stages;
using st::Stage;

constexpr Stage kDefault[] = {st::default_punctuation, st::gpt2, st::numbers, st::three_ascii_digits};
constexpr Stage kGpt2[] = {st::gpt2};
constexpr Stage kDigitsGpt2[] = {st::one_number, st::gpt2};
constexpr Stage kFalcon[] = {st::falcon_punctuation, st::gpt2, st::three_ascii_digits};
constexpr Stage kLlama3[] = {st::llama3};
constexpr Stage kMiniCpm5[] = {st::up_to_three_numbers, st::llama3_whole_numbers};
constexpr Stage kQwen2[] = {st::qwen2};
constexpr Stage kQwen2Plain[] = {st::qwen2_without_contractions};
constexpr Stage kQwen35[] = {st::qwen35};
constexpr Stage kLaguna[] = {st::lines_and_newlines, st::qwen2};
constexpr Stage kSeedCoder[] = {st::seed_coder};
constexpr Stage kTekken[] = {st::tekken};
constexpr Stage kGpt4o[] = {st::gpt4o};
constexpr Stage kBloom[] = {st::bloom};
constexpr Stage kViking[] = {st::bloom, st::one_number};
constexpr Stage kDeepseekLlm[] = {st::one_newline,          st::deepseek_cased_letters,
                                  st::deepseek_punctuation, st::deepseek_trailing_space,
                                  st::deepseek_asian,       st::numbers};
constexpr Stage kDeepseekCoder[] = {st::one_newline, st::deepseek_coder_letters,
                                    st::deepseek_coder_punctuation, st::deepseek_asian, st::one_number};
constexpr Stage kDeepseek3[] = {st::up_to_three_numbers, st::deepseek3_asian, st::deepseek3_words};
constexpr Stage kLines[] = {st::lines_and_newlines};

constexpr PreTokenizerRule kRules[] = {
    {"default", kDefault},
    {"gpt-2", kGpt2},
    {"phi-2", kGpt2},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"exaone4", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {"modern-bert", kGpt2},
    {"roberta-bpe", kGpt2},
    {"jina-es", kGpt2},
    {"jina-de", kGpt2},
    {"jina-v1-en", kGpt2},
    {"jina-v2-es", kGpt2},
    {"jina-v2-de", kGpt2},
    {"jina-v2-code", kGpt2},
    {"smollm", kDigitsGpt2},
    {"starcoder", kDigitsGpt2},
    {"refact", kDigitsGpt2},
    {"command-r", kDigitsGpt2},
    {"codeshell", kDigitsGpt2},
    {"exaone", kDigitsGpt2},
    {"minerva-7b", kDigitsGpt2},
    {"mellum2", kDigitsGpt2},
    {"falcon", kFalcon},
    {"llama-bpe", kLlama3, true, true},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"falcon-h1", kLlama3, true, true},
    {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"jina-v5-nano", kLlama3, true, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"chatglm-bpe", kLlama3},
    {"glm4", kLlama3, true},
    {"glm5", kLlama3, true},
    {"minicpm5", kMiniCpm5, true},
    {"qwen2", kQwen2},
    {"deepseek-r1-qwen", kQwen2},
    {"kormo", kQwen2},
    {"f2llmv2", kQwen2},
    {"megrez", kQwen2},
    {"stablelm2", kQwen2},
    {"hunyuan", kQwen2},
    {"solar-open", kQwen2},
    {"grok-2", kQwen2},
    {"bailingmoe", kQwen2},
    {"bailingmoe2", kQwen2},
    {"llada-moe", kQwen2},
    {"ufakzeka", kQwen2Plain},
    {"qwen35", kQwen35},
    {"laguna", kLaguna},
    {"seed-coder", kSeedCoder},
    {"tekken", kTekken, true, true},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"kanana2", kGpt4o},
    {"talkie", kGpt4o},
    {"minimax-m2", kGpt4o},
    {"poro-chat", kBloom},
    {"bloom", kBloom},
    {"gpt3-finnish", kBloom},
    {"viking", kViking},
    {"deepseek-llm", kDeepseekLlm},
    {"deepseek-coder", kDeepseekCoder},
    {"deepseek-v3", kDeepseek3},
    {"hunyuan-dense", kDeepseek3},
    {"joyai-llm", kDeepseek3},
    {"hy_v4", kDeepseek3},
    {"gemma4", kLines, false, false, true},
};

}  // namespace

std::span<const PreTokenizerRule> pre_tokenizers() {
  return kRules;
}

const PreTokenizerRule* find_pre_tokenizer(std::string_view name) {
  const auto* found = std::find_if(std::begin(kRules), std::end(kRules),
                                   [name](const PreTokenizerRule& rule) { return rule.name == name; });
  return found == std::end(kRules) ? nullptr : found;
}

std::string known_pre_tokenizers() {
  std::string names;
  for (const PreTokenizerRule& rule : kRules) {
    if (!names.empty()) names += ", ";
    names += rule.name;
  }
  return names;
}

}  // namespace troupe
