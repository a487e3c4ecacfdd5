#include "common/worker/engine_thread.hpp"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/support/fake_engine.hpp"

namespace troupe::worker {
namespace {

using namespace std::chrono_literals;

SendFrame nowhere() {
  return [](const std::string&, const wire::Envelope&, const RequestId&, FramePayload) {
    return SendResult::closed;
  };
}

/// Collects a thread's reports.
class Reports {
 public:
  std::function<void(ReportBatch)> sink() {
    return [this](ReportBatch batch) {
      {
        const std::lock_guard lock(mutex_);
        for (Report& report : batch.reports) reports_.push_back(std::move(report));
        busy_ = batch.stats.busy;
      }
      changed_.notify_all();
    };
  }
  bool wait(const std::function<bool(const std::vector<Report>&)>& until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return until(reports_); });
  }

  Duration busy() {
    const std::lock_guard lock(mutex_);
    return busy_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Report> reports_;
  Duration busy_{};
};

engine::Request request(std::uint64_t id, std::uint32_t max_tokens) {
  engine::Request out;
  out.id = {id, id};
  out.prompt = {1, 2, 3};
  out.max_tokens = max_tokens;
  return out;
}

TEST(EngineThread, RunsWhatIsSubmittedToItsEndAndRests) {
  Reports reports;
  EngineThread thread(std::make_unique<test::FakeEngine>(), nowhere(), reports.sink());
  EXPECT_TRUE(thread.post(Submit{request(1, 10)}));
  EXPECT_TRUE(reports.wait([](const auto& all) {
    std::size_t tokens = 0;
    for (const Report& report : all)
      if (const auto* stepped = std::get_if<Stepped>(&report)) tokens += stepped->tokens.size();
    return tokens == 10;
  }));
  const std::uint64_t progress = thread.progress();
  EXPECT_GT(progress, 0u);
  for (int i = 0; i < 20000 && thread.busy(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(thread.busy());
  EXPECT_GT(reports.busy(), Duration::zero()) << "the time of the turns before the last";
}

TEST(EngineThread, HoldsItsOwnThreadForTheBackendOnce) {
  std::vector<std::thread::id> held;
  test::FakeEngineOptions options;
  options.held = [&](std::thread::id thread) { held.push_back(thread); };
  Reports reports;
  {
    EngineThread thread(std::make_unique<test::FakeEngine>(options), nowhere(), reports.sink());
    EXPECT_TRUE(thread.post(Submit{request(1, 10)}));
    EXPECT_TRUE(reports.wait([](const auto& all) { return !all.empty(); }));
  }
  ASSERT_EQ(held.size(), 1u);
  EXPECT_NE(held[0], std::this_thread::get_id());
}

TEST(EngineThread, ARequestQueuesFromWhenItWasPosted) {
  std::optional<TimePoint> arrived;
  test::FakeEngineOptions options;
  options.submitted = [&](const engine::Request& taken) { arrived = taken.arrived; };
  Reports reports;
  const TimePoint before = std::chrono::steady_clock::now();
  {
    EngineThread thread(std::make_unique<test::FakeEngine>(options), nowhere(), reports.sink());
    EXPECT_TRUE(thread.post(Submit{request(1, 10)}));
    EXPECT_TRUE(reports.wait([](const auto& all) { return !all.empty(); }));
  }
  ASSERT_TRUE(arrived.has_value());
  EXPECT_GE(*arrived, before);
}

TEST(EngineThread, ReportsARefusalByItsId) {
  Reports reports;
  EngineThread thread(std::make_unique<test::FakeEngine>(), nowhere(), reports.sink());
  engine::Request empty = request(7, 1);
  empty.prompt.clear();
  EXPECT_TRUE(thread.post(Submit{empty}));
  EXPECT_TRUE(reports.wait([](const auto& all) {
    return std::any_of(all.begin(), all.end(), [](const Report& report) {
      const auto* refused = std::get_if<Refused>(&report);
      return refused != nullptr && refused->engine_id == RequestId{7, 7};
    });
  }));
}

TEST(EngineThread, RefusesMoreWaitingFramesThanItsBoundAndEverythingAfterStop) {
  Reports reports;
  EngineThreadOptions options;
  options.frame_bytes = 10;
  EngineThread thread(std::make_unique<test::FakeEngine>(), nowhere(), reports.sink(), options);
  EXPECT_FALSE(thread.post(ImportFrame{{1, 1}, {}, make_payload(std::vector<std::uint8_t>(11))}));
  EXPECT_TRUE(thread.post(ImportFrame{{1, 1}, {}, make_payload(std::vector<std::uint8_t>(10))}));
  thread.stop();
  EXPECT_FALSE(thread.post(ListBlocks{}));
}

TEST(EngineThread, AStopEndsAnEndlessStream) {
  Reports reports;
  EngineThread thread(std::make_unique<test::FakeEngine>(), nowhere(), reports.sink());
  EXPECT_TRUE(thread.post(Submit{request(1, 1u << 30)}));
  EXPECT_TRUE(reports.wait([](const auto& all) { return all.size() > 5; }));
  thread.stop();
}

}  // namespace
}  // namespace troupe::worker
