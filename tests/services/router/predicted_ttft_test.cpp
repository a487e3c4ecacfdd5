#include "services/router/policies/predicted_ttft.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/services/router/policy_builders.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

Decision placed(const std::vector<Candidate>& all, const RequestView& request = prompt(1000),
                const std::vector<Candidate>& helpers = {}, PolicyOptions options = {}) {
  const auto decision = PredictedTtft(options).place(request, {all, helpers});
  EXPECT_TRUE(decision.has_value()) << (decision ? "" : to_string(decision.error()));
  return decision.value_or(Decision{99, "", {}, {}});
}

Error refused(const std::vector<Candidate>& all, const RequestView& request, PolicyOptions options = {}) {
  const auto decision = PredictedTtft(options).place(request, {all});
  EXPECT_FALSE(decision.has_value());
  return decision ? Error{} : decision.error();
}

TEST(PredictedTtft, TakesThePrefixUntilItsQueueCostsMoreThanComputingAgain) {
  EXPECT_EQ(placed({worker(1, "a"), worker(2, "b", 800)}).index, 1u);
  EXPECT_EQ(placed({worker(1, "a"), worker(2, "b", 800, 500)}).index, 1u);
  EXPECT_EQ(placed({worker(1, "a"), worker(2, "b", 800, 3000)}).index, 0u)
      << "the hot prefix gets a second holder";
}

TEST(PredictedTtft, AFasterWorkerMayBeWorthItsQueue) {
  std::vector<Candidate> all = {worker(1, "slow"), worker(2, "fast", 0, 2000)};
  all[1].costs = {1000, 20, 20, 10};
  EXPECT_EQ(placed(all).index, 1u);  // 40 + 20 ms against 100
  all[1].queued_tokens = 12000;
  EXPECT_EQ(placed(all).index, 0u);
}

TEST(PredictedTtft, TheTermsAddUpToThePrediction) {
  std::vector<Candidate> all = {worker(1, "a", 600, 300)};
  all[0].decode_rows = 4;
  const Terms terms = placed(all).terms.at(0);
  EXPECT_NEAR(terms.queue, (1000 + 100 * 300) * 1.05, 1);
  EXPECT_NEAR(terms.prefill, 100 * 400, 1);
  EXPECT_NEAR(terms.decode, 50 * 4 * 2, 1) << "700 tokens are two steps";
  EXPECT_NEAR(terms.first_token(), terms.queue + terms.prefill + terms.decode, 1);
  EXPECT_GE(terms.score, terms.first_token());
}

TEST(PredictedTtft, DisaggregatesWhenThatIsSoonerAndOnlyThen) {
  std::vector<Candidate> busy = {worker(1, "d", 0, 8000)}, helper = {worker(9, "p")};
  EXPECT_EQ(placed(busy, prompt(4000), helper).prefill, std::optional<std::size_t>(0));
  const std::vector<Candidate> idle = {worker(1, "d")};
  helper[0].queued_tokens = 8000;
  EXPECT_FALSE(placed(idle, prompt(4000), helper).prefill.has_value());
  helper[0].queued_tokens = 0;
  busy[0].transfer_us = 1000;  // a token's pages take ten times its computing
  EXPECT_FALSE(placed(busy, prompt(4000), helper).prefill.has_value());
}

TEST(PredictedTtft, AmongEqualsThePrefillWorkerComputesSoThatStreamsAreNotDisturbed) {
  EXPECT_TRUE(placed({worker(1, "d")}, prompt(1000), {worker(9, "p")}).prefill.has_value());
  EXPECT_FALSE(placed({worker(1, "d")}, prompt(1000), {worker(9, "p", 0, 1000)}).prefill.has_value())
      << "it does not queue for that";
}

TEST(PredictedTtft, OfSeveralPrefillWorkersTheOneThatIsReadyFirst) {
  const std::vector<Candidate> decode = {worker(1, "d", 0, 20000)};
  const std::vector<Candidate> helpers = {worker(8, "p", 0, 9000), worker(9, "q", 0, 100),
                                          worker(10, "r", 3900, 90000)};
  EXPECT_EQ(placed(decode, prompt(4000), helpers).prefill, std::optional<std::size_t>(1));
}

TEST(PredictedTtft, EqualWorkersAreDrawnByTicketSoThatRoutersDoNotAgree) {
  std::vector<Candidate> all;
  for (std::uint64_t i = 1; i <= 8; ++i) all.push_back(worker(i, "w"));
  std::set<std::size_t> chosen;
  for (std::uint64_t ticket = 0; ticket < 100; ++ticket)
    chosen.insert(placed(all, prompt(1000, ticket)).index);
  EXPECT_EQ(chosen.size(), 8u);
}

TEST(PredictedTtft, ASessionBreaksTiesAndNothingElse) {
  std::vector<Candidate> all;
  for (std::uint64_t i = 1; i <= 8; ++i) all.push_back(worker(i, "w"));
  const auto at = [&](std::uint64_t session, std::uint64_t ticket) {
    RequestView request = prompt(1000, ticket);
    request.session = session;
    return placed(all, request).index;
  };
  std::set<std::size_t> homes;
  for (std::uint64_t session = 1; session <= 40; ++session) {
    homes.insert(at(session, 1));
    for (std::uint64_t ticket = 2; ticket < 6; ++ticket) EXPECT_EQ(at(session, ticket), at(session, 1));
  }
  EXPECT_GT(homes.size(), 4u);
  const std::size_t home = at(7, 1);
  all[home].queued_tokens = 1000;
  EXPECT_NE(at(7, 1), home) << "a hint does not wait";
}

TEST(PredictedTtft, PrefersAWorkerWithPages) {
  std::vector<Candidate> all = {worker(1, "a"), worker(2, "b", 0, 500)};
  all[0].pages_available = 3;
  EXPECT_EQ(placed(all).index, 1u);
  EXPECT_EQ(placed({all[0]}).index, 0u) << "it queues there rather than nowhere";
}

TEST(PredictedTtft, RefusesWhatWouldComeAfterTheObjectiveAndSaysWhenItFits) {
  const PolicyOptions options{500ms};
  const std::vector<Candidate> all = {worker(1, "a", 0, 12000), worker(2, "b", 0, 9000)};
  const Error error = refused(all, prompt(1000), options);  // b: 1 + 900 + 100 ms
  EXPECT_EQ(error.code, Errc::queue_full);
  EXPECT_NEAR(error.retry_after_ms, 576, 2) << "until it is 15 % sooner than it must be";
  std::vector<Candidate> later = all;
  for (Candidate& c : later) c.queued_tokens -= error.retry_after_ms * 1000.0 / c.costs.token;
  EXPECT_EQ(placed(later, prompt(1000), {}, options).index, 1u) << "the time that was told is true";
}

TEST(PredictedTtft, APromptThatIsSlowOnAnIdleWorkerTooIsNotRefusedForItsLength) {
  const PolicyOptions options{500ms};
  EXPECT_EQ(placed({worker(1, "a")}, prompt(20000), {}, options).index, 0u);  // 2 s
  EXPECT_EQ(refused({worker(1, "a", 0, 9000)}, prompt(20000), options).code, Errc::queue_full);
}

TEST(PredictedTtft, PriorityIsExemptFromTheObjectiveOrHasHalfOfIt) {
  const PolicyOptions options{500ms};
  RequestView request = prompt(1000);
  const std::vector<Candidate> full = {worker(1, "a", 0, 9000)}, half = {worker(1, "a", 0, 3000)};
  request.priority = 1;
  EXPECT_EQ(placed(full, request, {}, options).index, 0u);
  request.priority = 0;
  EXPECT_EQ(placed(half, request, {}, options).index, 0u);
  request.priority = -1;
  EXPECT_EQ(refused(half, request, options).code, Errc::queue_full);
}

TEST(PredictedTtft, ADeadlineThatCannotBeMetIsRefusedAtOnce) {
  RequestView request = prompt(1000);
  request.deadline = 300ms;
  EXPECT_EQ(refused({worker(1, "a", 0, 9000)}, request).code, Errc::queue_full);
  request.deadline = 900ms;
  EXPECT_EQ(placed({worker(1, "a", 0, 9000)}, request).index, 0u) << "a prediction may err by half";
}

// Fetching: a token takes 100 us to compute on every worker here.

Decision placed_with(const std::vector<Candidate>& all, const std::vector<Source>& sources,
                     const RequestView& request = prompt(1000), const std::vector<Candidate>& helpers = {}) {
  Offer offer{all, helpers};
  offer.sources = sources;
  const auto decision = PredictedTtft({}).place(request, offer);
  EXPECT_TRUE(decision.has_value());
  return decision.value_or(Decision{});
}

TEST(PredictedTtft, FetchesOverAFastLinkAndComputesOverASlowOne) {
  const std::vector<Candidate> all = {worker(1, "a"),
                                      worker(2, "b", 960, 20000)};  // the holder is busy for 2 s
  const auto fast = placed_with(all, {source(all[1], 960, 2)});
  EXPECT_EQ(fast.index, 0u);
  ASSERT_EQ(fast.source, std::optional<std::size_t>(0));
  const Terms& terms = fast.terms.at(0);
  EXPECT_NEAR(terms.fetch, 3000 + 960 * 2, 1);
  EXPECT_NEAR(terms.transfer, terms.fetch, 1) << "nothing hides it";
  EXPECT_NEAR(terms.prefill, 40 * 100, 1) << "the rest is computed";
  EXPECT_FALSE(fast.prefill.has_value());
  const auto slow = placed_with(all, {source(all[1], 960, 300)});
  EXPECT_EQ(slow.index, 0u);
  EXPECT_FALSE(slow.source.has_value());
  EXPECT_NEAR(slow.terms.at(0).prefill, 1000 * 100, 1);
}

TEST(PredictedTtft, OfSeveralHoldersTheOneWhosePagesAreHereFirst) {
  const std::vector<Candidate> all = {worker(1, "a"), worker(2, "b", 960, 30000), worker(3, "c", 900, 30000)};
  std::vector<Source> sources = {source(all[1], 960, 20), source(all[2], 900, 20)};
  EXPECT_EQ(placed_with(all, sources).source, std::optional<std::size_t>(0)) << "it holds most";
  sources[0].sending = 3;
  EXPECT_EQ(placed_with(all, sources).source, std::optional<std::size_t>(1)) << "its line is shared by four";
  sources[0].sending = 0;
  sources[0].step_us = 60000;
  EXPECT_EQ(placed_with(all, sources).source, std::optional<std::size_t>(1))
      << "its frames wait for its steps";
  sources[0].step_us = 0;
  sources[1].costs.links = {{all[0].node, {3000, 0}}};
  EXPECT_EQ(placed_with(all, sources).source, std::optional<std::size_t>(1))
      << "this link is known to be fast";
}

TEST(PredictedTtft, AQueueHidesATransfer) {
  const std::vector<Candidate> all = {worker(1, "a", 0, 5000)};  // 0.5 s
  const Terms terms = placed_with(all, {source(worker(2, "b"), 960, 50)}).terms.at(0);
  ASSERT_TRUE(terms.source.has_value());
  EXPECT_NEAR(terms.fetch, 3000 + 960 * 50, 1);
  EXPECT_NEAR(terms.transfer, terms.fetch / 32, 1);
}

TEST(PredictedTtft, TheFloorHoldsHoweverFastTheLink) {
  const std::vector<Candidate> all = {worker(1, "a", 700)};
  EXPECT_FALSE(placed_with(all, {source(worker(2, "b"), 950, 0.01)}).source.has_value())
      << "250 more than it has";
  EXPECT_TRUE(placed_with(all, {source(worker(2, "b"), 960, 0.01)}).source.has_value());
  EXPECT_FALSE(placed_with(all, {source(all[0], 960, 0.01)}).source.has_value())
      << "nobody fetches from himself";
}

TEST(PredictedTtft, APrefillWorkerComputesWhereThatIsSoonerThanFetching) {
  const std::vector<Candidate> all = {worker(1, "a", 0, 100)};
  const std::vector<Source> few = {source(worker(2, "b"), 300, 50)};
  const auto computed = placed_with(all, few, prompt(4000), {worker(9, "p")});
  EXPECT_TRUE(computed.prefill.has_value());
  EXPECT_FALSE(computed.source.has_value());
  const auto fetched = placed_with(all, {source(worker(2, "b"), 3900, 2)}, prompt(4000), {worker(9, "p")});
  EXPECT_FALSE(fetched.prefill.has_value());
  EXPECT_TRUE(fetched.source.has_value());
}

}  // namespace
}  // namespace troupe::router
