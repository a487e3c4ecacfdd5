// all-MiniLM-L6-v2 against vectors that tests/golden/make_encoder_golden.py made of its weights in double
// precision.
#include <cmath>
#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "common/encoder/encoder_engine.hpp"
#include "common/tokenizer/tokenizer.hpp"
#include "tests/common/encoder/tiny_bert.hpp"

namespace troupe::encoder {
namespace {

std::filesystem::path minilm() {
  const auto env = [](const char* name) {
    return std::string(std::getenv(name) == nullptr ? "" : std::getenv(name));
  };
  std::filesystem::path folder = env("TROUPE_MODELS");
  if (folder.empty() && !env("XDG_CACHE_HOME").empty()) folder = env("XDG_CACHE_HOME") + "/troupe/models";
  if (folder.empty()) folder = env("HOME") + "/.cache/troupe/models";
  return folder / "all-MiniLM-L6-v2";
}

TEST(MiniLm, IdsAndVectorsAreThoseOfTheReference) {
  if (!std::filesystem::exists(minilm() / "model.safetensors"))
    GTEST_SKIP() << minilm() << " is absent (TROUPE_MODELS names its folder)";
  const auto tokenizer = Tokenizer::from_word_list(minilm() / "vocab.txt");
  ASSERT_TRUE(tokenizer.has_value()) << to_string(tokenizer.error());
  const auto file = BertFile::open(minilm() / "model.safetensors");
  ASSERT_TRUE(file.has_value()) << to_string(file.error());
  ManualClock clock;
  const auto engine = make_encoder_engine(*file, float_backend(), {}, clock);
  ASSERT_TRUE(engine.has_value());
  std::ifstream in("tests/golden/minilm_vectors.json");
  const nlohmann::json golden = nlohmann::json::parse(in);
  ASSERT_GE(golden.size(), 6u);
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const auto ids = (*tokenizer)->encode(golden[i]["text"].get<std::string>(), SpecialTokens::as_text, true);
    ASSERT_TRUE(ids.has_value());
    EXPECT_EQ(*ids, golden[i]["ids"].get<std::vector<TokenId>>()) << golden[i]["text"];
    engine::Request request;
    request.id = {1, i};
    request.prompt = *ids;
    request.max_tokens = 0;
    request.pooling = Pooling::mean;
    ASSERT_TRUE((*engine)->submit(std::move(request)).has_value());
  }
  std::size_t seen = 0;
  while ((*engine)->has_work()) {
    for (const engine::TokenEvent& event : (*engine)->step().tokens) {
      const auto expected = golden[event.id.low]["vector"].get<std::vector<double>>();
      ASSERT_EQ(event.vector.size(), expected.size());
      double squares = 0;
      for (std::size_t j = 0; j < expected.size(); ++j) squares += std::pow(event.vector[j] - expected[j], 2);
      EXPECT_LT(std::sqrt(squares), 2e-6) << golden[event.id.low]["text"] << ": of a vector of length 1";
      ++seen;
    }
  }
  EXPECT_EQ(seen, golden.size());
}

}  // namespace
}  // namespace troupe::encoder
