// The published test vectors of each vocabulary: an .inp file of texts and an .out file with one line of ids
// per text.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "tests/common/tokenizer/files.hpp"

namespace troupe::test {
namespace {

std::vector<std::string> split_inputs(const std::string& all) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> inputs;
  std::size_t at = 0;
  for (std::size_t next = 0; (next = all.find(separator, at)) != std::string::npos;
       at = next + separator.size())
    inputs.push_back(all.substr(at, next - at));
  if (at < all.size()) inputs.push_back(all.substr(at));  // some files have no separator behind the last text
  return inputs;
}

std::vector<std::vector<TokenId>> split_ids(const std::string& all) {
  std::vector<std::vector<TokenId>> ids;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    ids.emplace_back();
    for (TokenId id = 0; numbers >> id;) ids.back().push_back(id);
  }
  return ids;
}

void check_vectors(const std::filesystem::path& vocabulary) {
  const auto tokenizer = load_tokenizer(vocabulary);
  ASSERT_NE(tokenizer, nullptr);
  const auto inputs = split_inputs(read_whole(vocabulary.string() + ".inp"));
  const auto expected = split_ids(read_whole(vocabulary.string() + ".out"));
  ASSERT_GT(inputs.size(), 30U);
  ASSERT_EQ(inputs.size(), expected.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto ids = tokenizer->encode(inputs[i], SpecialTokens::as_text, false);
    ASSERT_TRUE(ids.has_value()) << to_string(ids.error());
    EXPECT_EQ(*ids, expected[i]) << vocabulary << " text " << i << ": " << inputs[i];
    const auto back = tokenizer->decode(*ids);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, inputs[i]);
  }
}

class SharedVectors : public testing::TestWithParam<const char*> {};

TEST_P(SharedVectors, GiveThePublishedIdsAndDecodeBack) {
  const auto path = shared_vocabularies() / (std::string("ggml-vocab-") + GetParam() + ".gguf");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent (TROUPE_SHARED names its root)";
  check_vectors(path);
}

std::string test_name(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, SharedVectors, testing::Values("gpt-2", "llama-spm"), test_name);

class PeerVectors : public testing::TestWithParam<const char*> {};

TEST_P(PeerVectors, GiveThePublishedIdsAndDecodeBack) {
  const auto path = peer_vocabularies() / (std::string("ggml-vocab-") + GetParam() + ".gguf");
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is absent (TROUPE_PEER_SOURCE names its root)";
  check_vectors(path);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, PeerVectors,
                         testing::Values("gpt-2", "llama-spm", "llama-bpe", "qwen2", "qwen35", "deepseek-llm",
                                         "deepseek-coder", "falcon", "starcoder", "refact", "phi-3",
                                         "command-r", "gemma-4"),
                         test_name);

}  // namespace
}  // namespace troupe::test
