#include "services/gateway/batches/batch.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::gateway {
namespace {

Batch begun() {
  Batch batch;
  batch.id = "batch_1";
  batch.endpoint = "/v1/completions";
  batch.input_file = "file-1";
  batch.begin(1000, 100);
  return batch;
}

Batch in_progress(std::int64_t lines) {
  Batch batch = begun();
  batch.validated(lines, {}, 1001);
  return batch;
}

TEST(Batch, RunsFromItsInputToItsFiles) {
  Batch batch = begun();
  EXPECT_EQ(batch.status, BatchStatus::validating);
  EXPECT_FALSE(batch.may_run(1000)) << "its input has not been read";
  EXPECT_FALSE(batch.settle(0, 1000));
  batch.validated(2, {}, 1001);
  EXPECT_TRUE(batch.may_run(1001));
  EXPECT_FALSE(batch.settle(0, 1002)) << "two lines are left";
  batch.completed = 1;
  batch.failed = 1;
  EXPECT_FALSE(batch.settle(1, 1003)) << "one of them still runs";
  EXPECT_TRUE(batch.settle(0, 1003));
  EXPECT_EQ(batch.status, BatchStatus::finalizing);
  EXPECT_TRUE(batch.settle(0, 1004)) << "as after a restart";
  EXPECT_FALSE(batch.ended());
  batch.finished(1005);
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_TRUE(batch.ended());
  EXPECT_EQ(batch.since(BatchStatus::finalizing), 1003);
  EXPECT_EQ(batch.since(BatchStatus::completed), 1005);
  EXPECT_FALSE(batch.cancel(1006)) << "it is over";
}

TEST(Batch, FailsOfItsInputAndSaysWhy) {
  Batch batch = begun();
  batch.validated(3, {{"duplicate_custom_id", "twice \"a\"", "custom_id", 7}}, 1001);
  EXPECT_EQ(batch.status, BatchStatus::failed);
  EXPECT_TRUE(batch.ended());
  const auto json = nlohmann::json::parse(to_json(batch));
  EXPECT_EQ(json["errors"]["object"], "list");
  EXPECT_EQ(json["errors"]["data"][0], nlohmann::json({{"code", "duplicate_custom_id"},
                                                       {"message", "twice \"a\""},
                                                       {"param", "custom_id"},
                                                       {"line", 7}}));
  EXPECT_EQ(json["failed_at"], 1001);
  EXPECT_EQ(json["in_progress_at"], nullptr);
}

TEST(Batch, ListsSoManyErrorsAndNoMore) {
  Batch batch = begun();
  batch.validated(
      0, std::vector<BatchError>(kMostBatchErrors + 5, BatchError{"invalid_json_line", "no", "", 1}), 1001);
  EXPECT_EQ(nlohmann::json::parse(to_json(batch))["errors"]["data"].size(), kMostBatchErrors);
}

TEST(Batch, ExpiresWithWhatWasAnswered) {
  Batch batch = in_progress(3);
  batch.completed = 2;
  EXPECT_TRUE(batch.may_run(1099));
  EXPECT_FALSE(batch.may_run(1100));
  EXPECT_FALSE(batch.settle(1, 1100)) << "a line still runs";
  ASSERT_TRUE(batch.settle(0, 1100));
  EXPECT_TRUE(batch.ran_out);
  batch.finished(1101);
  EXPECT_EQ(batch.status, BatchStatus::expired);
}

TEST(Batch, IsNotExpiredWhenItsLastLineCameInTime) {
  Batch batch = in_progress(1);
  batch.completed = 1;
  ASSERT_TRUE(batch.settle(0, 5000)) << "looked at late";
  batch.finished(5001);
  EXPECT_EQ(batch.status, BatchStatus::completed);
}

TEST(Batch, IsCancelledWhenNothingOfItRunsAnyMore) {
  Batch batch = in_progress(3);
  ASSERT_TRUE(batch.cancel(1010));
  EXPECT_EQ(batch.status, BatchStatus::cancelling);
  EXPECT_TRUE(batch.cancel(1011)) << "asked twice";
  EXPECT_EQ(batch.since(BatchStatus::cancelling), 1010);
  EXPECT_FALSE(batch.may_run(1011));
  EXPECT_FALSE(batch.settle(1, 1011));
  EXPECT_TRUE(batch.settle(0, 1012));
  batch.finished(1013);
  EXPECT_EQ(batch.status, BatchStatus::cancelled);
  EXPECT_TRUE(batch.cancel(1014)) << "it is what was asked for";
  Batch unread = begun();
  ASSERT_TRUE(unread.cancel(1001));
  unread.validated(3, {}, 1002);
  EXPECT_EQ(unread.status, BatchStatus::cancelling) << "what its input says comes too late";
}

TEST(Batch, ShowsWhatOpenAIShows) {
  Batch batch = in_progress(5);
  batch.completed = 3;
  batch.failed = 1;
  batch.metadata = R"({"a":"b"})";
  batch.usage = {10, 4, 20, 6};
  batch.output_file = "file-out";
  const auto json = nlohmann::json::parse(to_json(batch));
  EXPECT_EQ(json["object"], "batch");
  EXPECT_EQ(json["status"], "in_progress");
  EXPECT_EQ(json["completion_window"], "24h");
  EXPECT_EQ(json["request_counts"], nlohmann::json({{"total", 5}, {"completed", 3}, {"failed", 1}}));
  EXPECT_EQ(json["metadata"], nlohmann::json({{"a", "b"}}));
  EXPECT_EQ(json["created_at"], 1000);
  EXPECT_EQ(json["expires_at"], 1100);
  EXPECT_EQ(json["output_file_id"], "file-out");
  EXPECT_EQ(json["error_file_id"], nullptr);
  EXPECT_EQ(json["usage"]["total_tokens"], 30);
  EXPECT_EQ(json["usage"]["input_tokens_details"]["cached_tokens"], 4);
}

}  // namespace
}  // namespace troupe::gateway
