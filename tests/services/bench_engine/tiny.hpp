#pragma once
// A small model of random weights on disk, gone when the test ends.
#include <unistd.h>

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "common/model/model.hpp"
#include "tests/support/shaped_model.hpp"

namespace troupe::bench {

class TinyModel {
 public:
  TinyModel() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / ("troupe_bench_" + std::to_string(::getpid()) + "_" + test->test_suite_name() + test->name());
    std::filesystem::create_directories(folder_);
    EXPECT_TRUE(write_shaped_model("tiny-llama", gguf::TensorType::q4_1, 1, folder_ / "tiny.gguf").has_value());
    auto model = Model::load(folder_ / "tiny.gguf");
    EXPECT_TRUE(model.has_value());
    model_ = std::move(*model);
  }
  ~TinyModel() {
    model_.reset();
    std::filesystem::remove_all(folder_);
  }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  const std::shared_ptr<const Model>& model() const { return model_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::shared_ptr<const Model> model_;
};

}  // namespace troupe::bench
