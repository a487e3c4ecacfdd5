// The driver against a real edge in front of a scripted dispatcher.
#include "services/bench/driver.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <set>

#include "services/bench/endpoint.hpp"
#include "services/bench/summary.hpp"
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::load {
namespace {

class DriverTest : public test::EdgeTest {
 protected:
  Endpoint endpoint() const {
    Endpoint out;
    out.url = *parse_url("http://127.0.0.1:" + std::to_string(port()) + "/v1");
    out.settings.model = "small";
    return out;
  }
  static std::unique_ptr<Workload> workload() {
    WorkloadOptions options;
    options.prompt_tokens = 8;
    options.max_tokens = 32;
    return *make_workload("chat", options);
  }
};

TEST_F(DriverTest, EveryRequestOfAClosedLoopComesBackWhole) {
  start();
  RunOptions options;
  options.pace = {40, {}, 16, {}};
  const auto result = run_load(endpoint(), *workload(), options);
  ASSERT_TRUE(result) << result.error().detail;
  const Summary summary = summarize(result->records, result->elapsed, {});
  EXPECT_EQ(summary.errors, (std::map<std::string, std::uint64_t>{}));
  EXPECT_EQ(summary.good, 40u);
  EXPECT_EQ(summary.output_tokens, 40u * 12);  // "Hello world" and the end token
  EXPECT_EQ(summary.cached_tokens, 40u * 3);
  EXPECT_EQ(summary.gap.sorted.size(), 40u * 10);
  std::set<std::uint64_t> indices;
  for (const Record& record : result->records) {
    indices.insert(record.index);
    EXPECT_LE(record.due, record.token_times.front());
    EXPECT_LE(record.token_times.back(), record.ended);
  }
  EXPECT_EQ(indices.size(), 40u);
  EXPECT_EQ(dispatcher_.seen().size(), 40u);
}

TEST_F(DriverTest, AnOpenLoopSendsAtItsArrivals) {
  start();
  RunOptions options;
  options.first_index = 100;
  options.pace = {
      5, {}, 64, [](std::uint64_t i) { return std::optional<Duration>(std::chrono::milliseconds(i)); }};
  const auto result = run_load(endpoint(), *workload(), options);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->records.size(), 5u);
  for (const Record& record : result->records)
    EXPECT_EQ(record.due, Duration(std::chrono::milliseconds(record.index - 100)));
}

TEST_F(DriverTest, RefusalsAreRecordsWithTheirStatus) {
  start();
  Endpoint wrong = endpoint();
  wrong.settings.model = "nobody";
  RunOptions options;
  options.pace = {3, {}, 2, {}};
  const auto result = run_load(wrong, *workload(), options);
  ASSERT_TRUE(result);
  EXPECT_EQ(summarize(result->records, result->elapsed, {}).errors,
            (std::map<std::string, std::uint64_t>{{"http_404", 3}}));
}

TEST_F(DriverTest, AnInterruptReturnsWhatWasAnsweredAndFreesTheServer) {
  start();
  dispatcher_.set_manual();
  const int fd = ::eventfd(0, EFD_NONBLOCK);
  RunOptions options;
  options.pace = {4, {}, 2, {}};
  options.interrupt_fd = fd;
  std::size_t polls = 0;
  options.on_progress = [&](std::uint64_t, Duration) {
    const std::uint64_t one = 1;
    if (dispatcher_.in_flight() == 2 && polls++ == 0) {
      EXPECT_EQ(::write(fd, &one, sizeof one), 8);
    }
  };
  const auto result = run_load(endpoint(), *workload(), options);
  ::close(fd);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->interrupted);
  EXPECT_TRUE(result->records.empty());
  EXPECT_TRUE(dispatcher_.wait_for_cancels(2));
}

TEST_F(DriverTest, TheFirstModelIsTheFirstListed) {
  start();
  const auto model = first_model(endpoint().url, "", -1);
  ASSERT_TRUE(model) << model.error().detail;
  EXPECT_EQ(*model, "small");
}

}  // namespace
}  // namespace troupe::load
