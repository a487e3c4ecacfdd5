#include "services/cli/capacity_plan.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>

#include "services/cli/model_facts.hpp"
#include "tests/support/shaped_model.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Expected<CapacityPlan> read(Arguments arguments) {
  std::ostringstream out;
  Io io{out, out, 0, {}};
  return read_capacity_plan(std::move(arguments), io);
}

TEST(CapacityPlan, ReadsTrafficWorkerAndObjectives) {
  const auto plan = read({"--rate", "2", "--span", "100s", "--step", "1000,2,3,0.5,0.01", "--chunk", "256",
                          "--pages", "100", "--slo-first-token", "1s", "--slo-between", "50ms", "--share",
                          "0.9", "--workers-max", "7"});
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_NEAR(static_cast<double>(plan->trace.requests.size()), 200, 60);
  EXPECT_DOUBLE_EQ(plan->options.stretch, 1);
  ASSERT_EQ(plan->options.workers.size(), 1U);
  const router::WorkerSpec& worker = plan->options.workers.front();
  EXPECT_DOUBLE_EQ(worker.step.base, 1000);
  EXPECT_DOUBLE_EQ(worker.step.kv_token, 0.5);
  EXPECT_DOUBLE_EQ(worker.step.pair, 0.01);
  EXPECT_EQ(worker.chunk_tokens, 256U);
  EXPECT_EQ(worker.pages, 100U);
  EXPECT_EQ(plan->goal.objectives.first_token, 1s);
  EXPECT_EQ(plan->goal.objectives.between_tokens, 50ms);
  EXPECT_DOUBLE_EQ(plan->goal.share, 0.9);
  EXPECT_EQ(plan->goal.most_workers, 7U);
  EXPECT_EQ(plan->page_bytes, 0U);
}

TEST(CapacityPlan, APoolInBytesIsPagesOfTheModel) {
  const auto given = read({"--token-bytes", "2KiB", "--kv-bytes", "64MiB"});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->page_bytes, 128U << 10);
  EXPECT_EQ(given->options.workers.front().pages, 512U);

  const fs::path path = fs::temp_directory_path() / ("troupe-plan-" + std::to_string(::getpid()) + ".gguf");
  ASSERT_TRUE(write_shaped_model("tiny-llama", gguf::TensorType::q4_1, 1, path));
  const auto facts = read_model_facts(path, backend::DType::i8);
  const auto model = read({"--model", path.string(), "--kv-codec", "int8", "--kv-bytes", "64MiB"});
  fs::remove(path);
  ASSERT_TRUE(facts && model);
  EXPECT_EQ(model->page_bytes, facts->page_bytes);
  EXPECT_EQ(model->weight_bytes, facts->weight_bytes);
  EXPECT_EQ(model->options.workers.front().pages, (64ULL << 20) / facts->page_bytes);
}

TEST(CapacityPlan, TheVerdictSaysWhatToBuy) {
  auto plan = read({"--token-bytes", "16KiB", "--pages", "1024"});
  ASSERT_TRUE(plan);
  router::CapacityAnswer answer;
  router::CapacityTry few, enough;
  few.workers = 2;
  few.good_share = 0.5;
  enough.workers = 3;
  enough.good_share = 0.9951;
  enough.peak_pages = 512;
  answer.tries = {few, enough};
  answer.workers = 3;
  EXPECT_EQ(capacity_verdict(*plan, answer),
            "3 workers give 99 % of the requests with their first token within 5s and 100ms between tokens "
            "(99.51 %)\n"
            "KV pages: at most 512 of 1024 in use on one worker; what is over holds the prefix cache\n"
            "memory of a worker: 0.50 GiB of KV pages at least, 1.00 GiB for all 1024\n");
  answer.workers.reset();
  answer.tries = {few};
  EXPECT_EQ(capacity_verdict(*plan, answer),
            "no number of workers up to 256 gives 99 % of the requests with their first token within 5s and "
            "100ms between "
            "tokens; the best gives 50.00 % with 2\n");
}

}  // namespace
}  // namespace troupe::cli
