#include "services/cli/model_facts.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/config/options.hpp"
#include "tests/support/shaped_model.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

TEST(ModelFacts, SayWhatAModelNeedsOfMemory) {
  const fs::path path = fs::temp_directory_path() / ("troupe-facts-" + std::to_string(::getpid()) + ".gguf");
  const ModelShape* shape = nullptr;
  for (const ModelShape& each : model_shapes())
    if (each.name == "tiny-llama") shape = &each;
  ASSERT_NE(shape, nullptr);
  ASSERT_TRUE(write_shaped_model(shape->name, gguf::TensorType::q4_1, 1, path));
  const auto half = read_model_facts(path, backend::DType::f16);
  const auto whole = read_model_facts(path, backend::DType::f32);
  const auto codes = read_model_facts(path, backend::DType::i8);
  fs::remove(path);
  ASSERT_TRUE(half && whole && codes);
  EXPECT_EQ(half->page_bytes, 64ULL * shape->layers * shape->kv_heads * 2 * shape->key_dim * 2);
  EXPECT_EQ(whole->page_bytes, 2 * half->page_bytes);
  EXPECT_LT(codes->page_bytes, half->page_bytes);
  EXPECT_EQ(half->context_length, shape->context);
  EXPECT_GT(half->weight_bytes, 0U);
  EXPECT_EQ(read_model_facts(path, backend::DType::f16).error().code, Errc::file_not_found);
}

TEST(ModelFacts, PagesHoldNumbersAsTheConfigurationSays) {
  const auto dtype = [](std::vector<std::string> flags) {
    ConfigSources sources;
    sources.arguments = std::move(flags);
    return kv_dtype_of(*Config::load(product_schema(), sources));
  };
  EXPECT_EQ(dtype({}), backend::DType::f16);
  EXPECT_EQ(dtype({"--kv-codec", "int8"}), backend::DType::i8);
  EXPECT_EQ(dtype({"--engine-numerics", "reference"}), backend::DType::f32);
}

}  // namespace
}  // namespace troupe::cli
