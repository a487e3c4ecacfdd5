// Engine, link, actors, service, draft model: in one process, and over TCP. Whatever becomes of the service,
// answers stay.
#include "services/draft/draft_service.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "common/draft/draft_link.hpp"
#include "common/draft/vocabulary_id.hpp"
#include "tests/common/draft/host_rig.hpp"

namespace troupe::draft {
namespace {

using namespace std::chrono_literals;
using engine::Answers;
using engine::Request;

class Services : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<actors::Runtime> make_runtime() const {
    actors::RuntimeOptions options;
    options.remote = true;
    options.heartbeat = 100ms;
    options.node_timeout = 1s;
    return std::move(*actors::Runtime::create(options));
  }
  void SetUp() override {
    if (GetParam()) service_runtime_ = make_runtime();
    runtime_ = GetParam() ? make_runtime() : std::move(*actors::Runtime::create({}));
    vocabulary_ = *vocabulary_id(engine::tiny_model("tiny-llama")->file());
    start_service();
    link_ = std::make_unique<DraftLink>(std::vector<std::string>{service_->address()});
    engine::EngineSetup setup;
    setup.options.speculation.drafter = "draft-service";
    setup.options.speculation.always = true;
    setup.options.speculation.source = link_->add_desk(vocabulary_, 100);
    engine_ = engine::make_engine(setup);
    ASSERT_TRUE(link_->start(*runtime_, random_id<NodeId>()).has_value());
    requests_ = engine::mixed_requests(20, 320, 60);
    for (Request& request : requests_) request.max_tokens += 60;
    engine::EngineSetup plain;
    auto alone = engine::make_engine(plain);
    expected_ = engine::run_batched(*alone, requests_);
  }
  void TearDown() override {
    link_.reset();
    service_.reset();
  }
  void start_service() {
    std::vector<HostSetup> hosts;
    hosts.push_back({"tiny", vocabulary_, make_host("tiny-llama")});
    ServiceSetup setup;
    setup.options.node = random_id<NodeId>();
    auto made =
        DraftService::create(GetParam() ? *service_runtime_ : *runtime_, std::move(setup), std::move(hosts));
    ASSERT_TRUE(made.has_value()) << to_string(made.error());
    service_ = std::move(*made);
  }
  static bool wait(const std::function<bool()>& until) {
    for (int i = 0; i < 30000; ++i) {
      if (until()) return true;
      std::this_thread::sleep_for(2ms);  // only how soon it is seen depends on this
    }
    return false;
  }
  std::uint64_t accepted() const {
    std::uint64_t sum = 0;
    for (const auto& one : engine_->stats().drafts) sum += one.accepted;
    return sum;
  }

  VocabularyId vocabulary_;
  std::unique_ptr<actors::Runtime> service_runtime_, runtime_;
  std::unique_ptr<DraftService> service_;
  std::unique_ptr<DraftLink> link_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<Request> requests_;
  Answers expected_;
};

TEST_P(Services, DraftForAnEngineThatNeverWaits) {
  ASSERT_TRUE(wait([&] { return link_->stats().services == 1; }));
  // A tiny target may be done before its drafter has said a word: it is given work until some of it came
  // true.
  ASSERT_TRUE(wait([&] {
    EXPECT_EQ(engine::run_batched(*engine_, requests_), expected_);
    return accepted() > 0;
  }));
  EXPECT_TRUE(wait([&] { return service_->snapshot().hosts.at(0).guesses > 0; }));
  EXPECT_EQ(link_->stats().malformed, 0u);
}

TEST_P(Services, ThatEndMidStreamChangeNothing) {
  ASSERT_TRUE(wait([&] { return link_->stats().services == 1; }));
  ASSERT_TRUE(wait([&] {
    EXPECT_EQ(engine::run_batched(*engine_, requests_), expected_);
    return link_->stats().answers > 0;
  }));
  Answers answers;
  for (const Request& request : requests_) ASSERT_TRUE(engine_->submit(request).has_value());
  for (int step = 0; engine_->has_work(); ++step) {
    if (step == 10) {
      service_.reset();
      service_runtime_.reset();
    }
    engine::collect(engine_->step(), answers);
  }
  EXPECT_EQ(answers, expected_);
  EXPECT_TRUE(wait([&] { return link_->stats().services == 0; }));
  EXPECT_EQ(engine::run_batched(*engine_, requests_), expected_);
}

TEST_P(Services, ThatDrainAreAskedNoMore) {
  ASSERT_TRUE(wait([&] {
    EXPECT_EQ(engine::run_batched(*engine_, requests_), expected_);
    return link_->stats().answers > 0;
  }));
  service_->drain();
  EXPECT_TRUE(wait([&] { return link_->stats().services == 0; }));
  const std::uint64_t orders = link_->stats().orders;
  EXPECT_EQ(engine::run_batched(*engine_, requests_), expected_);
  EXPECT_EQ(link_->stats().orders, orders);
}

INSTANTIATE_TEST_SUITE_P(Draft, Services, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "Tcp" : "OneProcess"; });

TEST(DraftService, HostsOneModelOfAVocabulary) {
  auto runtime = std::move(*actors::Runtime::create({}));
  std::vector<HostSetup> hosts;
  for (int i = 0; i < 2; ++i) hosts.push_back({"tiny", {1, 1}, make_host("tiny-llama")});
  const auto made = DraftService::create(*runtime, {}, std::move(hosts));
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Errc::config_invalid);
}

}  // namespace
}  // namespace troupe::draft
