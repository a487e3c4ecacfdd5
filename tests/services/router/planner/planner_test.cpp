#include "services/router/planner/planner.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;
using wire::Role;

constexpr double kPromptRate = 2000;   ///< tokens per second of a prefill worker
constexpr double kTokenRate = 400;     ///< of a decode worker with many streams
constexpr double kStepSeconds = 0.02;  ///< of a decode worker with few

std::optional<RoleChange> asked(Planner& planner, const std::vector<WorkerSample>& workers, TimePoint now,
                                const std::optional<StepCosts>& costs = std::nullopt) {
  planner.observe(workers, costs, now);
  return planner.decide(workers, now);
}

/// Workers as fluids: prompt tokens queue in prefill, streams share decode.
struct Cluster {
  struct Member {
    std::string name;
    Role role;
    double queued = 0, streams = 0;
    double prompt_tokens = 0, generated_tokens = 0;
    double changes_in = 0;  ///< seconds until it has drained
    Role to = Role::decode;
  };
  std::vector<Member> members;
  TimePoint now{1h};
  double prompt_load = 0, token_load = 0;  ///< tokens per second that arrive; answer tokens wanted per second
  std::vector<double> waited;              ///< prefill queue in seconds, second by second
  std::vector<double> apart;               ///< seconds between tokens
  int changes = 0;

  Cluster(int prefill, int decode) {
    for (int i = 0; i < prefill; ++i)
      members.push_back({std::string("p").append(std::to_string(i)), Role::prefill});
    for (int i = 0; i < decode; ++i)
      members.push_back({std::string("d").append(std::to_string(i)), Role::decode});
  }
  [[nodiscard]] int count(Role role) const {
    return static_cast<int>(std::ranges::count_if(members, [&](const Member& m) { return m.role == role; }));
  }
  [[nodiscard]] std::vector<WorkerSample> samples() const {
    std::vector<WorkerSample> out;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const Member& m = members[i];
      WorkerSample s;
      s.node = {1, i + 1};
      s.name = m.name;
      s.role = m.role;
      s.ready = m.changes_in <= 0;
      s.heard = now;
      s.queued_prompt_tokens = static_cast<std::uint64_t>(m.queued);
      s.prompt_tokens = static_cast<std::uint64_t>(m.prompt_tokens);
      s.generated_tokens = static_cast<std::uint64_t>(m.generated_tokens);
      s.running = static_cast<std::uint32_t>(std::lround(m.streams));
      out.push_back(s);
    }
    return out;
  }
  void second(Planner* planner) {
    now += 1s;
    double most_waited = 0, most_apart = 0;
    int prefill = 0, decode = 0;
    for (const Member& m : members)
      if (m.changes_in <= 0) ++(m.role == Role::prefill ? prefill : decode);
    for (Member& m : members) {
      if (m.changes_in <= 0 && m.role == Role::prefill) m.queued += prompt_load / prefill;
      const double done = std::min(m.queued, kPromptRate);
      m.queued -= done;
      m.prompt_tokens += done;
      most_waited = std::max(most_waited, m.queued / kPromptRate);
      // As many streams as make the tokens that are wanted of it; each makes 10 a second if it may.
      m.streams = m.changes_in <= 0 && m.role == Role::decode ? token_load / decode / 10 : 0;
      const double each = m.streams == 0 ? 0 : std::max(kStepSeconds, m.streams / kTokenRate);
      if (m.streams > 0) m.generated_tokens += m.streams / each;
      most_apart = std::max(most_apart, each);
      if (m.changes_in > 0 && (m.changes_in -= 1) <= 0) m.role = m.to;
    }
    waited.push_back(most_waited);
    apart.push_back(most_apart);
    if (planner == nullptr) return;
    const auto change = asked(*planner, samples(), now);
    if (!change) return;
    ++changes;
    Member& m = members[change->node.low - 1];
    EXPECT_NE(m.role, change->to);
    m.to = change->to;
    m.changes_in = 5;
  }
  void run(int length, Planner* planner) {
    for (int i = 0; i < length; ++i) {
      second(planner);
      EXPECT_GE(count(Role::prefill), 1);
      EXPECT_GE(count(Role::decode), 1);
    }
  }
};

double worst_of_last(const std::vector<double>& values, std::size_t count) {
  return *std::max_element(values.end() - static_cast<std::ptrdiff_t>(count), values.end());
}

TEST(Planner, FollowsALoadThatShiftsAndThenRests) {
  Cluster planned(2, 4), still(2, 4);
  Planner planner({});
  // Long prompts, then long answers, then long prompts again: twenty minutes each.
  for (const auto& [prompts, tokens] :
       {std::pair{6500.0, 400.0}, std::pair{800.0, 1800.0}, std::pair{6500.0, 400.0}}) {
    const int before = planned.changes;
    for (Cluster* c : {&planned, &still}) {
      c->prompt_load = prompts;
      c->token_load = tokens;
      c->run(1200, c == &planned ? &planner : nullptr);
    }
    EXPECT_LE(planned.changes - before, 4) << "it comes to rest";
    EXPECT_LT(worst_of_last(planned.waited, 120), 1.0);
    EXPECT_LT(worst_of_last(planned.apart, 120), 0.1);
  }
  EXPECT_GT(worst_of_last(still.waited, 120), 100) << "which a cluster that stands still cannot do";
  EXPECT_GE(planned.changes, 4);
}

TEST(Planner, AskedBetweenHeartbeatsItLearnsNothingWrong) {
  // The same cluster, asked once and five times a second: time without news is no time without work.
  Cluster once(2, 4), often(2, 4);
  Planner first({}), second({});
  for (Cluster* c : {&once, &often}) c->prompt_load = 6500, c->token_load = 400;
  for (int i = 0; i < 50; ++i) {
    once.run(1, &first);
    often.run(1, &second);
    for (int part = 1; part < 5; ++part)
      EXPECT_FALSE(asked(second, often.samples(), often.now + part * 200ms).has_value());
  }
  EXPECT_GT(first.pressure(Role::prefill), 1);
  EXPECT_NEAR(second.pressure(Role::prefill), first.pressure(Role::prefill),
              0.1 * first.pressure(Role::prefill));
}

TEST(Planner, LeavesAClusterAloneThatBearsItsLoad) {
  Cluster cluster(2, 4);
  Planner planner({});
  std::mt19937_64 random(3);
  for (int i = 0; i < 1800; ++i) {
    cluster.prompt_load = 500 + static_cast<double>(random() % 3000);
    cluster.token_load = 100 + static_cast<double>(random() % 1000);
    cluster.run(1, &planner);
  }
  EXPECT_EQ(cluster.changes, 0);
}

TEST(Planner, DoesNotSwingWhenBothRolesAreOverloaded) {
  Cluster cluster(3, 3);
  Planner planner({});
  cluster.prompt_load = 9000;
  cluster.token_load = 6000;
  cluster.run(1200, &planner);
  EXPECT_EQ(cluster.changes, 0);
}

TEST(Planner, OneOfEachStays) {
  Cluster cluster(1, 3);
  Planner planner({});
  cluster.token_load = 5000;
  cluster.run(600, &planner);
  EXPECT_EQ(cluster.count(Role::prefill), 1) << "the last prefill worker is not taken";
  EXPECT_EQ(cluster.changes, 0);
}

TEST(Planner, AClusterOfOneRoleStaysSo) {
  Cluster cluster(0, 3);
  Planner planner({});
  cluster.token_load = 5000;
  for (int i = 0; i < 300; ++i) cluster.second(&planner);
  EXPECT_EQ(cluster.changes, 0);
}

TEST(Planner, WaitsOutItsDwellAndOneChangeAtATime) {
  Cluster cluster(1, 6);
  PlannerOptions options;
  options.dwell = 100s;
  Planner planner(options);
  cluster.prompt_load = 20000;
  std::vector<int> at;
  for (int i = 1; i <= 600; ++i) {
    const int before = cluster.changes;
    cluster.second(&planner);
    if (cluster.changes != before) at.push_back(i);
  }
  ASSERT_GE(at.size(), 2u);
  EXPECT_GT(at[0], 100);
  for (std::size_t i = 1; i < at.size(); ++i) EXPECT_GE(at[i] - at[i - 1], 105) << "drained, then the dwell";
}

TEST(Planner, ForgetsAChangeThatDoesNotHappen) {
  Cluster cluster(1, 4);
  Planner planner({});
  cluster.prompt_load = 9000;
  while (cluster.changes == 0) cluster.second(&planner);
  EXPECT_TRUE(planner.changing());
  // The worker dies on the way.
  auto rest = cluster.samples();
  const auto gone = std::ranges::find_if(rest, [](const WorkerSample& s) { return !s.ready; });
  ASSERT_NE(gone, rest.end());
  rest.erase(gone);
  EXPECT_FALSE(asked(planner, rest, cluster.now + 1s).has_value());
  EXPECT_FALSE(planner.changing());
}

TEST(Planner, TheLeastLoadedWorkerGoes) {
  PlannerOptions options;
  options.dwell = 0s;
  options.window = 1ms;
  Planner planner(options);
  std::vector<WorkerSample> workers(4);
  for (std::size_t i = 0; i < workers.size(); ++i) workers[i].node = {1, i};
  workers[0].role = Role::prefill;
  workers[0].queued_prompt_tokens = 100000;
  workers[1].running = 3;
  workers[2].running = 1;
  workers[3].running = 2;
  for (WorkerSample& worker : workers) worker.heard = TimePoint(1h);
  EXPECT_FALSE(asked(planner, workers, TimePoint(1h)).has_value());
  const auto change = asked(planner, workers, TimePoint(1h) + 1s);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->node, workers[2].node);
  EXPECT_EQ(change->to, Role::prefill);
}

/// A cluster in front of which somebody counts prompts, as the router does.
struct Arranged {
  Arranged(int prefill, int decode, bool arrange) : cluster(prefill, decode), planner(options(arrange)) {}
  static PlannerOptions options(bool arrange) {
    PlannerOptions out;
    out.arrange = arrange;
    return out;
  }
  /// Every second: short and long prompts that arrive, and tokens that are wanted.
  void run(int length, int shorts, double longs, double tokens, const StepCosts& costs) {
    cluster.token_load = tokens;
    for (int i = 0; i < length; ++i) {
      due += longs;
      for (int j = 0; j < shorts; ++j) planner.placed(100, false, cluster.now);
      for (; due >= 1; --due) planner.placed(4000, true, cluster.now);
      cluster.second(nullptr);
      const auto change = asked(planner, cluster.samples(), cluster.now, costs);
      if (!change) continue;
      ++cluster.changes;
      Cluster::Member& m = cluster.members[change->node.low - 1];
      m.to = change->to;
      m.changes_in = 5;
    }
  }
  Cluster cluster;
  Planner planner;
  double due = 0;
};
constexpr StepCosts kRowsAreCheap{8000, 80, 30, 2, 512}, kRowsAreDear{8000, 80, 3000, 2, 512};

TEST(Planner, MakesAllWorkersHybridsWhereThatIsBetterAndPartsThemAgain) {
  Arranged a(1, 3, true);
  a.run(600, 6, 0, 900, kRowsAreDear);  // answers are the work
  EXPECT_EQ(a.planner.view().verdict, Arrangement::hybrid);
  EXPECT_EQ(a.cluster.count(Role::decode), 4) << "the last prefill worker went too";
  const int then = a.cluster.changes;
  a.run(600, 6, 0, 900, kRowsAreDear);
  EXPECT_EQ(a.cluster.changes, then) << "and pressure takes none back";
  a.run(900, 6, 1, 900, kRowsAreCheap);  // long prompts beside them
  EXPECT_EQ(a.planner.view().verdict, Arrangement::split);
  EXPECT_GE(a.cluster.count(Role::prefill), 1);
}

TEST(Planner, ToldToKeepTheRolesItOnlySaysWhatWouldBeBetter) {
  Arranged a(1, 3, false);
  a.run(600, 6, 0, 900, kRowsAreDear);
  EXPECT_EQ(a.planner.view().verdict, Arrangement::hybrid);
  EXPECT_LT(a.planner.view().comparison->advantage, 1 / 1.2);
  EXPECT_EQ(a.cluster.count(Role::prefill), 1);
  EXPECT_EQ(a.cluster.changes, 0);
}

TEST(Planner, OfAFewRequestsItSaysNothing) {
  Arranged a(1, 3, true);
  a.run(19, 1, 0, 900, kRowsAreDear);
  EXPECT_FALSE(a.planner.view().comparison.has_value());
  EXPECT_EQ(a.planner.view().verdict, Arrangement::unknown);
}

}  // namespace
}  // namespace troupe::router
