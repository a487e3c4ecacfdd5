#include "common/encoder/bert_file.hpp"

#include <unistd.h>

#include <fstream>

#include "tests/common/encoder/tiny_bert.hpp"

namespace troupe::encoder {
namespace {

namespace fs = std::filesystem;

class BertFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-bert-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  Expected<BertConfig> read(const nlohmann::json& config) {
    std::ofstream(folder_ / "config.json") << config.dump();
    return read_bert_config(folder_ / "config.json");
  }
  static nlohmann::json good() {
    const BertConfig c = tiny_config();
    return {{"model_type", "bert"},
            {"hidden_act", "gelu"},
            {"num_hidden_layers", c.layers},
            {"hidden_size", c.width},
            {"intermediate_size", c.ffn_width},
            {"num_attention_heads", c.heads},
            {"max_position_embeddings", c.context},
            {"vocab_size", c.vocab},
            {"type_vocab_size", c.token_types},
            {"layer_norm_eps", 1e-12},
            {"more", {1, 2}}};
  }
  fs::path folder_;
};

TEST_F(BertFolder, PropertiesAndWeightsAreRead) {
  ASSERT_TRUE(read(good()).has_value());
  const auto bytes = safetensors_of(tiny_tensors(tiny_config()));
  std::ofstream(folder_ / "model.safetensors", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto file = BertFile::open(folder_ / "model.safetensors");
  ASSERT_TRUE(file.has_value()) << to_string(file.error());
  EXPECT_EQ((*file)->config().heads, 3u);
  EXPECT_EQ((*file)->floats(1, LayerTensor::up).size(), 40u * 24u);
  EXPECT_EQ((*file)->id("n"), TinyBert().file->id("n"));
  EXPECT_NE((*file)->id("n"), (*file)->id("other numbers"));
  fs::remove(folder_ / "config.json");
  EXPECT_EQ(BertFile::open(folder_ / "model.safetensors").error().code, Errc::file_not_found);
}

TEST_F(BertFolder, OtherModelsAreRefused) {
  const auto refused = [&](const char* key, const nlohmann::json& value, Errc code) {
    nlohmann::json config = good();
    if (value.is_null())
      config.erase(key);
    else
      config[key] = value;
    const auto parsed = read(config);
    ASSERT_FALSE(parsed.has_value()) << key;
    EXPECT_EQ(parsed.error().code, code);
    EXPECT_NE(parsed.error().detail.find(key), std::string::npos) << parsed.error().detail;
  };
  refused("model_type", "roberta", Errc::file_unsupported);
  refused("model_type", nullptr, Errc::file_unsupported);
  refused("hidden_act", "relu", Errc::file_unsupported);
  refused("position_embedding_type", "relative_key", Errc::file_unsupported);
  refused("num_hidden_layers", 0, Errc::file_malformed);
  refused("num_hidden_layers", 1000000, Errc::file_malformed);
  refused("hidden_size", "wide", Errc::file_malformed);
  refused("hidden_size", 25, Errc::file_malformed);
  refused("vocab_size", nullptr, Errc::file_malformed);
  refused("layer_norm_eps", 0, Errc::file_malformed);
  std::ofstream(folder_ / "config.json") << "[1, 2";
  EXPECT_EQ(read_bert_config(folder_ / "config.json").error().code, Errc::file_malformed);
}

TEST(BertFile, EveryTensorHasItsShapeAndNoneIsLeftOver) {
  const auto refused = [](const TinyTensors& tensors, const std::string& says) {
    const auto bytes = safetensors_of(tensors);
    const auto file = safetensors::File::parse(bytes, "f");
    ASSERT_TRUE(file.has_value());
    const auto checked = BertFile::check(*file, tiny_config());
    ASSERT_FALSE(checked.has_value());
    EXPECT_NE(checked.error().detail.find(says), std::string::npos) << checked.error().detail;
  };
  const TinyTensors good = tiny_tensors(tiny_config());
  TinyTensors tensors = good;
  tensors.erase("encoder.layer.1.output.dense.bias");
  refused(tensors, "encoder.layer.1.output.dense.bias is missing");
  tensors = good;
  tensors["embeddings.word_embeddings.weight"].first = {24, 50};
  refused(tensors, "has shape [24, 50], expected [50, 24]");
  tensors = good;
  tensors["encoder.layer.2.output.dense.bias"] = good.at("encoder.layer.1.output.dense.bias");
  refused(tensors, "has no place");
}

TEST(BertFile, NamesMayStandBelowBert) {
  TinyTensors below;
  for (const auto& [name, tensor] : tiny_tensors(tiny_config())) below["bert." + name] = tensor;
  const TinyBert one, other(tiny_config(), below);
  ASSERT_TRUE(other.file);
  EXPECT_EQ(other.file->floats(BertTensor::positions), one.file->floats(BertTensor::positions));
}

}  // namespace
}  // namespace troupe::encoder
