#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/config/model_catalog.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

class ModelsCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-models-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  int run(Arguments arguments) {
    out_.str("");
    err_.str("");
    Io io{out_, err_, 0, {{"TROUPE_MODELS", folder_.string()}}};
    return models_command(std::move(arguments), io);
  }
  fs::path folder_;
  std::ostringstream out_, err_;
};

TEST_F(ModelsCommand, ListSaysWhatIsInTheCache) {
  EXPECT_EQ(run({"list"}), ok);
  EXPECT_NE(out_.str().find("cache: " + folder_.string()), std::string::npos);
  for (const KnownModel& model : known_models()) {
    EXPECT_NE(out_.str().find(model.name), std::string::npos);
    EXPECT_NE(out_.str().find(model.sha256), std::string::npos);
  }
  EXPECT_EQ(out_.str().find(" yes "), std::string::npos);
  std::ofstream(folder_ / known_models()[0].file) << "cut short";
  EXPECT_EQ(run({"list"}), bad_input);
  EXPECT_NE(out_.str().find("wrong size"), std::string::npos);
}

TEST_F(ModelsCommand, InspectNamesFileFieldFoundAndExpectedOfAMalformedFile) {
  const fs::path bad = folder_ / "bad.gguf";
  std::ofstream(bad, std::ios::binary) << "GGML" << std::string(60, '\0');
  EXPECT_EQ(run({"inspect", bad.string()}), bad_input);
  EXPECT_TRUE(err_.str().starts_with("troupe: file_malformed: ")) << err_.str();
  for (const char* part : {"bad.gguf", "magic", "found", "expected"})
    EXPECT_NE(err_.str().find(part), std::string::npos) << part;
}

TEST_F(ModelsCommand, InspectPrintsARealFile) {
  const char* models = std::getenv("TROUPE_MODELS");
  const fs::path real = models_folder(models == nullptr ? "" : models) / known_models()[0].file;
  if (!fs::exists(real)) GTEST_SKIP() << real << " is not there";
  EXPECT_EQ(run({"inspect", real.string()}), ok) << err_.str();
  EXPECT_NE(out_.str().find("98362432 bytes, 272 tensors"), std::string::npos);
  EXPECT_NE(out_.str().find("llama.block_count"), std::string::npos);
  EXPECT_NE(out_.str().find("token_embd.weight"), std::string::npos);
  EXPECT_EQ(run({"inspect", real.string(), "--no-tensors", "--width=20"}), ok);
  EXPECT_EQ(out_.str().find("token_embd.weight"), std::string::npos);
}

TEST_F(ModelsCommand, SuggestsTheNearestName) {
  EXPECT_EQ(run({"pull", "gema-3-270m"}), bad_input);
  EXPECT_NE(err_.str().find("did you mean gemma-3-270m?"), std::string::npos);
  EXPECT_EQ(run({"inspct", "x"}), bad_input);
  EXPECT_NE(err_.str().find("did you mean inspect?"), std::string::npos);
}

TEST_F(ModelsCommand, RefusesWrongArguments) {
  EXPECT_EQ(run({}), bad_input);
  EXPECT_EQ(run({"pull"}), bad_input);
  EXPECT_EQ(run({"inspect"}), bad_input);
  EXPECT_EQ(run({"inspect", "x.gguf", "--width=zero"}), bad_input);
  EXPECT_EQ(run({"list", "stray"}), bad_input);
  EXPECT_EQ(run({"inspect", (folder_ / "gone.gguf").string()}), bad_input);
}

}  // namespace
}  // namespace troupe::cli
