// The same roles as actors: in one process by local:// addresses, and as five actor systems over real TCP and
// ZeroMQ.
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "common/worker/worker.hpp"
#include "services/gateway/cluster_dispatcher.hpp"
#include "services/router/router_state.hpp"
#include "tests/support/fake_engine.hpp"
#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

/// A RecordingSink that another thread can wait for.
class WaitingSink final : public gateway::AnswerSink {
 public:
  void on_start(gateway::AnswerStart start) override {
    change([&] { inner.on_start(std::move(start)); });
  }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    change([&] { inner.on_tokens(choice, tokens, finish); });
  }
  void on_score(std::uint32_t choice, double score) override {
    change([&] { inner.on_score(choice, score); });
  }
  void on_done(const gateway::DraftUsage& drafts) override {
    change([&] { inner.on_done(drafts); });
  }
  void on_error(const Error& error) override {
    change([&] { inner.on_error(error); });
  }
  bool wait(const std::function<bool(const RecordingSink&)>& until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 60s, [&] { return until(inner); });
  }
  RecordingSink inner;

 private:
  void change(const std::function<void()>& what) {
    {
      const std::lock_guard lock(mutex_);
      what();
    }
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

struct Processes {
  /// remote: every role has an actor system of its own.
  explicit Processes(bool remote) : remote_(remote) {
    options_.remote = remote;
    options_.heartbeat = 100ms;
    options_.node_timeout = 1s;
    if (!remote) shared_ = *actors::Runtime::create(options_);
    router_runtime_ = make_runtime();
    router::RouterOptions options;
    options.node = random_id<NodeId>();
    options.policy = "load_and_prefix";  // names the prefill worker for every long prompt, however long its queue
    options.heartbeat = 100ms;
    options.node_timeout = 1s;
    router_ = *runtime(router_runtime_).spawn("router", [&](const actors::RoleHandle&) {
      return std::move(*router::RouterState::create(options));
    });
    gateway_runtime_ = make_runtime();
    gateway::ClusterDispatcherOptions gateway;
    gateway.gateway.node = random_id<NodeId>();
    gateway.gateway.name = "gateway-0";
    gateway.gateway.router_address = router_.address();
    gateway.gateway.heartbeat = 100ms;
    gateway.data_listen = remote ? "tcp://127.0.0.1:0" : "local://gateway-data";
    dispatcher = std::move(*gateway::ClusterDispatcher::create(runtime(gateway_runtime_), gateway));
  }
  ~Processes() {
    dispatcher.reset();
    workers.clear();
    runtimes_.clear();
  }
  worker::Worker& add(wire::Role role, const std::string& name, FakeEngineOptions engine = {}) {
    runtimes_[name] = make_runtime();
    worker::WorkerSetup setup;
    setup.options.role = role;
    setup.options.name = name;
    setup.options.node = random_id<NodeId>();
    setup.options.router_address = router_.address();
    setup.options.heartbeat = 100ms;
    setup.role_name = name;
    setup.data_listen = remote_ ? "tcp://127.0.0.1:0" : "local://data-" + name;
    engine.step_time = std::chrono::microseconds(300);
    std::vector<worker::EngineSetup> engines;
    engines.push_back({"fake", "fake-numerics", 128, std::make_unique<FakeEngine>(engine)});
    auto made = worker::Worker::create(runtime(runtimes_[name]), std::move(setup), std::move(engines));
    EXPECT_TRUE(made.has_value()) << (made ? "" : to_string(made.error()));
    workers[name] = std::move(*made);
    return *workers[name];
  }
  /// The worker's process ends without a word.
  void kill(const std::string& name) {
    workers.erase(name);
    runtimes_.erase(name);
  }
  bool wait(const std::function<bool()>& until) {
    for (int i = 0; i < 30000; ++i) {
      if (until()) return true;
      std::this_thread::sleep_for(2ms);  // only how soon it is seen depends on this
    }
    return false;
  }
  bool ready(std::uint32_t decoders, std::size_t nodes) {
    return wait([&] {
      const auto models = dispatcher->models();
      const auto members = router_.ask<std::size_t>(
          [](actors::RoleState& state) {
            return dynamic_cast<router::RouterState&>(state).view().nodes().size();
          },
          5s);
      return !models.empty() && models[0].ready_workers == decoders && members == nodes;
    });
  }
  std::shared_ptr<WaitingSink> start(const gateway::GenerateJob& job) {
    auto sink = std::make_shared<WaitingSink>();
    const auto started = dispatcher->start(job, sink);
    EXPECT_TRUE(started.has_value()) << (started ? "" : to_string(started.error()));
    return sink;
  }
  bool quiet() {
    return wait([&] {
      if (dispatcher->in_flight() != 0) return false;
      const auto placements = router_.ask<std::size_t>(
          [](actors::RoleState& state) { return dynamic_cast<router::RouterState&>(state).placements(); },
          5s);
      return placements == 0u && std::all_of(workers.begin(), workers.end(),
                                             [](const auto& w) { return w.second->active() == 0; });
    });
  }

  std::unique_ptr<gateway::ClusterDispatcher> dispatcher;
  std::map<std::string, std::unique_ptr<worker::Worker>> workers;

 private:
  std::unique_ptr<actors::Runtime> make_runtime() {
    return remote_ ? std::move(*actors::Runtime::create(options_)) : nullptr;
  }
  actors::Runtime& runtime(std::unique_ptr<actors::Runtime>& own) { return remote_ ? *own : *shared_; }

  bool remote_;
  actors::RuntimeOptions options_;
  std::unique_ptr<actors::Runtime> shared_, router_runtime_, gateway_runtime_;
  std::map<std::string, std::unique_ptr<actors::Runtime>> runtimes_;
  actors::RoleHandle router_;
};

class Shells : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(OneProcessAndTcp, Shells, testing::Bool(),
                         [](const auto& param) { return param.param ? "Tcp" : "OneProcess"; });

TEST_P(Shells, StreamsComeWholeWithAndWithoutAPrefillWorker) {
  Processes p(GetParam());
  p.add(wire::Role::decode, "decode-0");
  p.add(wire::Role::prefill, "prefill-0");
  ASSERT_TRUE(p.ready(1, 3));
  std::vector<gateway::GenerateJob> jobs;
  std::vector<std::shared_ptr<WaitingSink>> sinks;
  for (std::uint64_t i = 0; i < 24; ++i) {
    jobs.push_back(fake_job(i, i % 3 == 0 ? 3000 : 50, 40, i % 4 == 1 ? 3 : 1));
    sinks.push_back(p.start(jobs.back()));
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(sinks[i]->wait([](const RecordingSink& s) { return s.over(); })) << i;
    EXPECT_EQ(check_answer(jobs[i], sinks[i]->inner), "") << i;
  }
  EXPECT_TRUE(p.quiet());
  EXPECT_GT(p.workers["decode-0"]->snapshot().plane.frames_received, 8u);
  EXPECT_TRUE(p.wait([&] { return p.workers["prefill-0"]->snapshot().counters.prefills == 8; }))
      << p.workers["prefill-0"]->snapshot().counters.prefills;
}

TEST_P(Shells, ALongPromptGoesByTheDataPlane) {
  Processes p(GetParam());
  p.add(wire::Role::decode, "decode-0");
  p.add(wire::Role::prefill, "prefill-0");
  ASSERT_TRUE(p.ready(1, 3));
  const auto job = fake_job(3, 30000, 8);
  const auto sink = p.start(job);
  ASSERT_TRUE(sink->wait([](const RecordingSink& s) { return s.over(); }));
  EXPECT_EQ(check_answer(job, sink->inner), "");
  EXPECT_TRUE(p.quiet());
}

TEST_P(Shells, AWorkerThatDiesMidStreamIsNotSeenInTheStream) {
  Processes p(GetParam());
  p.add(wire::Role::decode, "decode-0");
  p.add(wire::Role::decode, "decode-1");
  ASSERT_TRUE(p.ready(2, 3));
  const auto job = fake_job(4, 100, 200000);
  const auto sink = p.start(job);
  ASSERT_TRUE(sink->wait(
      [](const RecordingSink& s) { return s.answers.contains(0) && s.answers.at(0).size() >= 50; }));
  p.kill(p.workers["decode-0"]->active() != 0 ? "decode-0" : "decode-1");
  std::size_t had = 0;
  ASSERT_TRUE(sink->wait([&](const RecordingSink& s) {
    if (had == 0) had = s.answers.at(0).size();
    return s.error || s.answers.at(0).size() > had + 200;
  }));
  p.dispatcher->cancel(job.id);
  EXPECT_TRUE(p.quiet());
  ASSERT_FALSE(sink->inner.error.has_value()) << to_string(*sink->inner.error);
  const auto& answer = sink->inner.answers.at(0);
  EXPECT_EQ(answer, fake_answer(job.prompt, job.sampling.seed, 0, static_cast<std::uint32_t>(answer.size())));
}

TEST_P(Shells, CancelsInFlightLeaveNothing) {
  Processes p(GetParam());
  p.add(wire::Role::decode, "decode-0");
  p.add(wire::Role::prefill, "prefill-0");
  ASSERT_TRUE(p.ready(1, 3));
  std::vector<gateway::GenerateJob> jobs;
  for (std::uint64_t i = 0; i < 40; ++i) {
    jobs.push_back(fake_job(i, i % 2 == 0 ? 2000 : 60, 100000));
    (void)p.start(jobs.back());
    if (i >= 8) p.dispatcher->cancel(jobs[i - 8].id);
  }
  for (const auto& job : jobs) p.dispatcher->cancel(job.id);
  EXPECT_TRUE(p.quiet());
  EXPECT_EQ(p.dispatcher->in_flight(), 0u);
}

TEST_P(Shells, DrainRefusesWhatIsNewAndAbandonEndsWhatIsLeft) {
  Processes p(GetParam());
  p.add(wire::Role::decode, "decode-0");
  ASSERT_TRUE(p.ready(1, 2));
  const auto job = fake_job(5, 100, 1000000);
  const auto sink = p.start(job);
  ASSERT_TRUE(sink->wait([](const RecordingSink& s) { return s.started; }));
  p.dispatcher->drain();
  const auto refused = p.dispatcher->start(fake_job(6, 10, 10), std::make_shared<WaitingSink>());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::draining);
  p.dispatcher->abandon();
  ASSERT_TRUE(sink->wait([](const RecordingSink& s) { return s.error.has_value(); }));
  EXPECT_EQ(sink->inner.error->code, Errc::draining);
}

TEST(ClusterDispatcher, BoundsWhatIsInFlightAndKnowsItsModels) {
  Processes p(false);
  const auto unknown = p.dispatcher->start(fake_job(1, 10, 10), std::make_shared<WaitingSink>());
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, Errc::model_not_found);
  p.add(wire::Role::decode, "decode-0");
  ASSERT_TRUE(p.ready(1, 2));
  const auto many = p.dispatcher->start(fake_job(1, 10, 10, 300), std::make_shared<WaitingSink>());
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().code, Errc::queue_full);
  EXPECT_EQ(p.dispatcher->in_flight(), 0u);
}

}  // namespace
}  // namespace troupe::test
