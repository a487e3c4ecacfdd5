#include "services/gateway/batches/input_scan.hpp"

#include <gtest/gtest.h>

#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

std::string line(const std::string& id, const std::string& model = "m") {
  return R"({"custom_id":")" + id + R"(","method":"POST","url":"/v1/completions","body":{"model":")" + model +
         R"(","prompt":"x"}})";
}

class InputScanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = BatchStore::open(folder_ / "store");
    ASSERT_TRUE(store);
    store_.emplace(std::move(*store));
    batch_.id = "batch_1";
    batch_.metadata = "null";
    ASSERT_TRUE(store_->add_batch(batch_));
  }
  /// Errors as "line code".
  std::vector<std::string> scan(const std::string& text, ScanLimits limits = {}) {
    std::ofstream(folder_ / "input") << text;
    EXPECT_TRUE(store_->clear_lines(batch_.serial));
    InputScan scan(*FileReader::open(folder_ / "input"), "/v1/completions", limits);
    for (int steps = 0;; ++steps) {
      const auto done = scan.step(*store_, batch_.serial);
      EXPECT_TRUE(done);
      EXPECT_LT(steps, 100'000);
      if (!done || *done) break;
    }
    lines_ = scan.lines();
    std::vector<std::string> errors;
    for (const BatchError& error : scan.errors())
      errors.push_back(std::to_string(error.line) + " " + error.code);
    return errors;
  }
  test::SecretFolder folder_;
  std::optional<BatchStore> store_;
  Batch batch_;
  std::int64_t lines_ = 0;
};

using Errors = std::vector<std::string>;

TEST_F(InputScanTest, FindsEveryLineWhereverPiecesEnd) {
  const std::string text = line("a") + "\n\n  \r\n" + line("b") + "\r\n" + line("c");
  for (const std::size_t step : {1, 2, 7, 100, 10'000}) {
    ScanLimits limits;
    limits.step_bytes = step;
    EXPECT_EQ(scan(text, limits), Errors{});
    EXPECT_EQ(lines_, 3);
    const auto places = store_->unanswered(batch_.serial, 0, 10).value();
    ASSERT_EQ(places.size(), 3u);
    const std::vector<std::pair<std::int64_t, std::string>> expected{{1, "a"}, {4, "b"}, {5, "c"}};
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(places[i].line, expected[i].first);
      const auto read = read_input_line(
          text.substr(static_cast<std::size_t>(places[i].start), static_cast<std::size_t>(places[i].length)),
          "/v1/completions");
      ASSERT_TRUE(read);
      EXPECT_EQ(read->custom_id, expected[i].second);
    }
  }
}

TEST_F(InputScanTest, NamesWhatIsWrongByItsLine) {
  EXPECT_EQ(scan(""), Errors{"0 empty_file"});
  EXPECT_EQ(scan("\n \n"), Errors{"0 empty_file"});
  EXPECT_EQ(scan(line("a") + "\nnonsense\n" + line("a") + "\n" + line("b", "n") + "\n"),
            (Errors{"2 invalid_json_line", "3 duplicate_custom_id", "4 model_mismatch"}));
}

TEST_F(InputScanTest, StopsWhereItGetsNoBetter) {
  ScanLimits limits;
  limits.lines = 2;
  EXPECT_EQ(scan(line("a") + "\n" + line("b") + "\n" + line("c") + "\n" + line("d"), limits),
            Errors{"3 too_many_tasks"});
  std::string wrong;
  for (int i = 0; i < 5000; ++i) wrong += "x\n";
  EXPECT_EQ(scan(wrong).size(), kMostBatchErrors);
  limits = {};
  limits.line_bytes = 1000;
  limits.step_bytes = 100;
  EXPECT_EQ(scan(line("a") + "\n" + std::string(100'000, 'x'), limits), Errors{"2 invalid_json_line"});
}

}  // namespace
}  // namespace troupe::gateway
