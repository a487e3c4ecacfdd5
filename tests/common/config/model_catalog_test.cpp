#include "common/config/model_catalog.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace troupe {
namespace {

namespace fs = std::filesystem;

class ModelCatalog : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-catalog-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    std::ofstream(folder_ / "SmolLM2-135M-Instruct.Q4_1.gguf") << "x";
    std::ofstream(folder_ / "my.model.gguf") << "x";
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ModelCatalog, RowsAreWhole) {
  for (const KnownModel& model : known_models()) {
    EXPECT_EQ(model.sha256.size(), 64U);
    EXPECT_EQ(model.sha256.find_first_not_of("0123456789abcdef"), std::string_view::npos);
    EXPECT_GT(model.bytes, 0U);
    ASSERT_FALSE(model.pieces.empty());
    for (const ModelPiece& piece : model.pieces) EXPECT_NE(piece.package.find("=="), std::string_view::npos);
    for (const KnownModel& file : model.beside) {
      EXPECT_EQ(file.sha256.size(), 64U);
      EXPECT_EQ(fs::path(file.file).parent_path(), fs::path(model.file).parent_path());
      EXPECT_EQ(file.pieces.size(), 1U);
    }
  }
}

TEST_F(ModelCatalog, AnEncoderHasAFolderOfItsOwn) {
  const fs::path own = folder_ / "all-MiniLM-L6-v2", other = folder_ / "bge-small";
  EXPECT_EQ(resolve_model("all-minilm-l6-v2", folder_).error().code, Errc::file_not_found);
  for (const fs::path& folder : {own, other}) {
    fs::create_directories(folder);
    std::ofstream(folder / "model.safetensors") << "x";
  }
  EXPECT_EQ(resolve_model("all-minilm-l6-v2", folder_)->path, own / "model.safetensors");
  EXPECT_EQ(resolve_model((own / "model.safetensors").string(), "/")->name, "all-minilm-l6-v2");
  EXPECT_EQ(resolve_model((other / "model.safetensors").string(), "/")->name, "bge-small");
  EXPECT_TRUE(holds_encoder(own / "model.safetensors"));
  EXPECT_FALSE(holds_encoder(folder_ / "my.model.gguf"));
  EXPECT_EQ(known_by_file(other / "model.safetensors"), nullptr);
}

TEST_F(ModelCatalog, ResolvesAKnownNameThroughTheFolder) {
  const auto model = resolve_model("smollm2-135m-instruct", folder_);
  ASSERT_TRUE(model);
  EXPECT_EQ(model->name, "smollm2-135m-instruct");
  EXPECT_EQ(model->path, folder_ / "SmolLM2-135M-Instruct.Q4_1.gguf");
}

TEST_F(ModelCatalog, SaysHowToGetAMissingOne) {
  const auto model = resolve_model("gemma-3-270m", folder_);
  EXPECT_EQ(model.error().code, Errc::file_not_found);
  EXPECT_NE(model.error().detail.find("troupe models pull gemma-3-270m"), std::string::npos);
}

TEST_F(ModelCatalog, ResolvesPaths) {
  EXPECT_EQ(resolve_model((folder_ / "my.model.gguf").string(), folder_)->name, "my.model");
  EXPECT_EQ(resolve_model((folder_ / "SmolLM2-135M-Instruct.Q4_1.gguf").string(), "/")->name,
            "smollm2-135m-instruct");
  EXPECT_EQ(resolve_model("other=" + (folder_ / "my.model.gguf").string(), folder_)->name, "other");
  EXPECT_EQ(resolve_model("small=smollm2-135m-instruct", folder_)->name, "small");
  EXPECT_EQ(resolve_model((folder_ / "gone.gguf").string(), folder_).error().code, Errc::file_not_found);
  EXPECT_EQ(resolve_model(folder_.string(), folder_).error().code, Errc::file_not_found);
}

TEST_F(ModelCatalog, SuggestsTheNearestName) {
  const auto model = resolve_model("smollm2-135m-instrct", folder_);
  EXPECT_EQ(model.error().code, Errc::config_invalid);
  EXPECT_NE(model.error().detail.find("did you mean smollm2-135m-instruct?"), std::string::npos);
}

TEST_F(ModelCatalog, RefusesTwoModelsOfOneName) {
  const std::array<std::string, 2> twice{"smollm2-135m-instruct",
                                         (folder_ / "SmolLM2-135M-Instruct.Q4_1.gguf").string()};
  EXPECT_EQ(resolve_models(twice, folder_).error().code, Errc::config_invalid);
  const std::array<std::string, 2> fine{twice[0], "b=" + twice[1]};
  EXPECT_EQ(resolve_models(fine, folder_)->size(), 2U);
}

TEST_F(ModelCatalog, TheConfiguredFolderWins) {
  EXPECT_EQ(models_folder("/x/y"), "/x/y");
  EXPECT_TRUE(models_folder().string().ends_with("troupe/models"));
}

}  // namespace
}  // namespace troupe
