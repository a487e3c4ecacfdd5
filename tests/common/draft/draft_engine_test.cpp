// Drafts of another model change no byte of an answer: greedy and seeded, batched, rolled back, evicted,
// late, lost, or wrong.
#include <deque>

#include "common/draft/host_source.hpp"
#include "tests/common/draft/host_rig.hpp"

namespace troupe::draft {
namespace {

using namespace std::chrono_literals;
using engine::Answers;
using engine::Engine;
using engine::EngineSetup;
using engine::Request;

/// A host behind a wire that delays, loses and repeats: answers come some takes later, or never.
class LossySource final : public speculation::DraftSource {
 public:
  LossySource(std::shared_ptr<DraftHost> host, std::uint64_t seed)
      : inner_(std::move(host), clock_), random_(seed) {}

  [[nodiscard]] bool order(speculation::DraftOrder order) override {
    switch (random_() % 16) {
      case 0:
        return false;
      case 1:
        return true;  // lost on its way
      case 2:
        for (TokenId& token : order.tokens) token = static_cast<TokenId>(random_() % 320);  // another text
        break;
      case 3:
        inner_.forget(order.sequence);  // evicted meanwhile
        break;
      default:
        break;
    }
    const speculation::SequenceNumber sequence = order.sequence;
    if (!inner_.order(std::move(order))) return false;
    if (auto answer = inner_.take(sequence)) late_[sequence].push_back({random_() % 5, std::move(*answer)});
    return true;
  }
  [[nodiscard]] std::optional<speculation::DraftAnswer> take(speculation::SequenceNumber sequence) override {
    auto& waiting = late_[sequence];
    if (waiting.empty() || waiting.front().first-- > 0) return std::nullopt;
    speculation::DraftAnswer answer = waiting.front().second;
    if (random_() % 8 != 0)
      waiting.pop_front();  // else it comes again, stale by then
    else
      waiting.front().first = random_() % 5;
    if (random_() % 16 == 0) answer.position += 1;
    return answer;
  }
  void forget(speculation::SequenceNumber sequence) override {
    inner_.forget(sequence);
    late_.erase(sequence);
  }

 private:
  SteadyClock clock_;
  HostSource inner_;
  std::mt19937_64 random_;
  std::map<speculation::SequenceNumber, std::deque<std::pair<std::uint64_t, speculation::DraftAnswer>>> late_;
};

struct Sum {
  std::uint64_t proposed = 0, accepted = 0;
};
Sum drafts_of(const Engine& engine) {
  Sum sum;
  for (const auto& one : engine.stats().drafts) sum.proposed += one.proposed, sum.accepted += one.accepted;
  return sum;
}

class DraftedAnswers : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::size_t kRequests = 30;

  void SetUp() override {
    EngineSetup plain;
    plain.options.prefix_cache = false;
    engine_ = engine::make_engine(plain);
    requests_ = engine::mixed_requests(kRequests, engine_->model().config().vocab);
    for (Request& request : requests_) request.max_tokens += 30;
    expected_ = engine::run_alone(*engine_, requests_);
  }
  EngineSetup setup(std::shared_ptr<speculation::DraftSource> source, std::uint32_t most = 8) const {
    EngineSetup s;
    s.options.speculation.drafter = "draft-service";
    s.options.speculation.most_draft = most;
    s.options.speculation.always = true;
    s.options.speculation.source = std::move(source);
    return s;
  }
  std::shared_ptr<DraftHost> host(HostOptions options = {}, std::uint32_t pages = 400) const {
    return make_host(GetParam(), options, pages);
  }
  /// A model that drafts for itself is right whenever the answer is greedy.
  static void expect_drafts(const Engine& engine, std::uint64_t proposed = 300,
                            std::uint64_t accepted = 150) {
    const Sum sum = drafts_of(engine);
    EXPECT_GT(sum.proposed, proposed);
    if (std::string(GetParam()) == "tiny-llama") {
      EXPECT_GT(sum.accepted, accepted);
    }
    const engine::EngineStats stats = engine.stats();
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  }

  SteadyClock clock_;
  std::unique_ptr<Engine> engine_;
  std::vector<Request> requests_;
  Answers expected_;
};

TEST_P(DraftedAnswers, AreThePlainOnesUnderEverySchedule) {
  std::map<std::string, EngineSetup> schedules;
  const auto source = [&] { return std::make_shared<HostSource>(host(), clock_); };
  schedules["batched"] = setup(source());
  schedules["one guess"] = setup(source(), 1);
  schedules["many guesses"] = setup(source(), 30);
  schedules["small budget"] = setup(source());
  schedules["small budget"].options.token_budget = 70;
  schedules["no pages"] = setup(source());
  schedules["no pages"].options.kv_bytes = engine_->layer_page_bytes() * engine_->layers() * 9;
  for (const auto& [name, schedule] : schedules) {
    auto engine = engine::make_engine(schedule);
    EXPECT_EQ(engine::run_batched(*engine, requests_), expected_) << name;
    EXPECT_EQ(engine::run_batched(*engine, requests_), expected_) << name << ", from the cache";
    expect_drafts(*engine);
  }
}

TEST_P(DraftedAnswers, AreThePlainOnesWhileSessionsAreEvicted) {
  HostOptions few;
  few.max_sessions = 5;
  const auto crowded = host(few), poor = host({}, 7);
  for (const auto& one : {crowded, poor}) {
    auto engine = engine::make_engine(setup(std::make_shared<HostSource>(one, clock_)));
    EXPECT_EQ(engine::run_batched(*engine, requests_), expected_);
    EXPECT_GT(one->stats().evicted, 10u);
    EXPECT_GT(one->stats().lost, 10u) << "nobody came back to an evicted session";
    EXPECT_GT(drafts_of(*engine).proposed, 50u);
  }
}

TEST_P(DraftedAnswers, AreThePlainOnesOverALossyWire) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto one = host();
    auto engine = engine::make_engine(setup(std::make_shared<LossySource>(one, seed)));
    EXPECT_EQ(engine::run_batched(*engine, requests_), expected_) << seed;
    expect_drafts(*engine, 150, 75);  // an order that is lost ends most of a stream's drafts
    EXPECT_GT(one->stats().lost, 3u);
  }
}

TEST_P(DraftedAnswers, AreThePlainOnesWithCancelledNeighbours) {
  auto engine = engine::make_engine(setup(std::make_shared<LossySource>(host(), 9)));
  Answers answers;
  for (const Request& request : requests_) ASSERT_TRUE(engine->submit(request).has_value());
  int asked = 0;
  for (std::size_t i = 0; engine->has_work(); ++i) {
    engine::collect(engine->step([&] { return ++asked % 11 == 0; }), answers);
    if (i % 8 == 0) engine->cancel(requests_[(i * 7) % requests_.size()].id);
  }
  std::size_t whole = 0;
  for (const auto& [key, answer] : answers) {
    const auto& expected = expected_.at(key).tokens;
    ASSERT_LE(answer.tokens.size(), expected.size());
    EXPECT_TRUE(std::equal(answer.tokens.begin(), answer.tokens.end(), expected.begin()));
    whole += answer.finish != FinishReason::none ? 1 : 0;
  }
  EXPECT_GT(whole, 3u);
}

INSTANTIATE_TEST_SUITE_P(Draft, DraftedAnswers, ::testing::Values("tiny-llama", "tiny-qwen2"),
                         [](const auto& instance) {
                           return std::string(instance.param) == "tiny-llama" ? "ItsOwnModel"
                                                                              : "AnotherModel";
                         });

TEST(DraftedAnswer, OfOneGreedyStreamTakesFewSteps) {
  SteadyClock clock;
  EngineSetup setup;
  setup.options.speculation.drafter = "draft-service";
  setup.options.speculation.always = true;
  setup.options.speculation.source =
      std::make_shared<HostSource>(std::shared_ptr<DraftHost>(make_host("tiny-llama")), clock);
  auto engine = engine::make_engine(setup);
  Request request;
  request.id = {1, 1};
  request.prompt = text_of(1, 40);
  request.max_tokens = 60;
  request.sampling.temperature = 0;
  Answers answers;
  ASSERT_TRUE(engine->submit(request).has_value());
  engine::run(*engine, answers);
  EXPECT_EQ(answers.at({request.id, 0}).tokens.size(), 60u);
  EXPECT_LT(engine->stats().steps, 20u) << "a model that drafts for itself is right every time";
}

}  // namespace
}  // namespace troupe::draft
