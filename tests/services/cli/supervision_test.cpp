#include "services/cli/supervision.hpp"

#include <gtest/gtest.h>

#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

using namespace std::chrono_literals;
using Kind = Supervision::Action::Kind;

constexpr std::size_t kRouter = 0, kDecode = 1, kGateway = 2;

class SupervisionTest : public testing::Test {
 protected:
  Supervision logic_{{{"router", "r:1", 2}, {"decode", "d:1", 1}, {"gateway", "g:1", 0}},
                     {60s, 500ms, 8s, 35s}};
  ManualClock clock_;

  [[nodiscard]] TimePoint now() const { return clock_.now(); }
  /// "start 1", "terminate 0" ...; lines are left out.
  static std::vector<std::string> deeds(const Supervision::Actions& actions) {
    std::vector<std::string> out;
    for (const auto& action : actions) {
      const std::string member = std::to_string(action.member);
      if (action.kind == Kind::start) out.push_back("start " + member);
      if (action.kind == Kind::terminate) out.push_back("terminate " + member);
      if (action.kind == Kind::kill) out.push_back("kill " + member);
    }
    return out;
  }
  static std::vector<std::string> lines(const Supervision::Actions& actions) {
    std::vector<std::string> out;
    for (const auto& action : actions)
      if (action.kind == Kind::say) out.push_back(action.text);
    return out;
  }
  void all_up() {
    (void)logic_.begin(now());
    for (std::size_t m = 0; m < 3; ++m) (void)logic_.ready(m, now());
  }
};

using Texts = std::vector<std::string>;

TEST_F(SupervisionTest, StartsAllAndSaysWhoIsUp) {
  EXPECT_EQ(deeds(logic_.begin(now())), (Texts{"start 0", "start 1", "start 2"}));
  EXPECT_EQ(lines(logic_.ready(kDecode, now())), Texts{"decode is up: d:1"});
  EXPECT_TRUE(logic_.ready(kDecode, now()).empty());
  EXPECT_FALSE(logic_.all_ready());
  (void)logic_.ready(kRouter, now());
  EXPECT_EQ(lines(logic_.ready(kGateway, now())), (Texts{"gateway is up: g:1", "all 3 processes are up"}));
  EXPECT_TRUE(logic_.all_ready());
  EXPECT_FALSE(logic_.next_deadline());
}

TEST_F(SupervisionTest, RestartsWhatDiesWithDoublingWaits) {
  all_up();
  for (const auto wait : {500ms, 1000ms, 2000ms, 4000ms, 8000ms, 8000ms}) {
    const auto said = lines(logic_.exited(kDecode, {0, 9}, now()));
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0].find("decode died: signal 9; restart in "), 0U);
    ASSERT_EQ(logic_.next_deadline(), now() + wait);
    clock_.advance(wait - 1ns);
    EXPECT_TRUE(logic_.tick(now()).empty());
    clock_.advance(1ns);
    EXPECT_EQ(deeds(logic_.tick(now())), Texts{"start 1"});
  }
}

TEST_F(SupervisionTest, ForgetsDeathsAfterALongLife) {
  all_up();
  for (int i = 0; i < 3; ++i) {
    (void)logic_.exited(kDecode, {1, 0}, now());
    clock_.advance(8s);
    (void)logic_.tick(now());
  }
  (void)logic_.ready(kDecode, now());
  clock_.advance(8s);
  (void)logic_.exited(kDecode, {1, 0}, now());
  EXPECT_EQ(logic_.next_deadline(), now() + 500ms);
}

TEST_F(SupervisionTest, AnEndNobodyAskedForIsADeathToo) {
  all_up();
  EXPECT_EQ(lines(logic_.exited(kGateway, {0, 0}, now()))[0], "gateway died: exit code 0; restart in 500ms");
}

TEST_F(SupervisionTest, KillsWhatDoesNotBecomeReady) {
  (void)logic_.begin(now());
  (void)logic_.ready(kRouter, now());
  (void)logic_.ready(kGateway, now());
  clock_.advance(60s);
  EXPECT_EQ(deeds(logic_.tick(now())), Texts{"kill 1"});
  EXPECT_TRUE(logic_.tick(now()).empty());
  EXPECT_EQ(lines(logic_.exited(kDecode, {0, 9}, now())), Texts{"decode died: signal 9; restart in 500ms"});
}

TEST_F(SupervisionTest, GivesUpOnWhatCannotRunAsConfigured) {
  (void)logic_.begin(now());
  const auto actions = logic_.exited(kDecode, {bad_input, 0}, now());
  EXPECT_EQ(deeds(actions), Texts{"terminate 2"});
  (void)logic_.exited(kGateway, {0, 0}, now());
  (void)logic_.exited(kRouter, {0, 0}, now());
  EXPECT_TRUE(logic_.finished());
  EXPECT_EQ(logic_.exit_code(), bad_input);
}

TEST_F(SupervisionTest, RestartsEvenThatOnceItHasWorked) {
  all_up();
  EXPECT_EQ(lines(logic_.exited(kDecode, {bad_input, 0}, now()))[0],
            "decode died: exit code 2; restart in 500ms");
  EXPECT_FALSE(logic_.finished());
}

TEST_F(SupervisionTest, DrainsGatewaysThenWorkersThenTheRouter) {
  all_up();
  EXPECT_EQ(deeds(logic_.stop(now())), Texts{"terminate 2"});
  EXPECT_EQ(deeds(logic_.exited(kGateway, {0, 0}, now())), Texts{"terminate 1"});
  EXPECT_EQ(deeds(logic_.exited(kDecode, {0, 0}, now())), Texts{"terminate 0"});
  EXPECT_FALSE(logic_.finished());
  EXPECT_TRUE(deeds(logic_.exited(kRouter, {0, 0}, now())).empty());
  EXPECT_TRUE(logic_.finished());
  EXPECT_EQ(logic_.exit_code(), ok);
  EXPECT_FALSE(logic_.next_deadline());
}

TEST_F(SupervisionTest, ADeathWhileAnotherStageDrainsIsNotRestarted) {
  all_up();
  (void)logic_.stop(now());
  EXPECT_TRUE(deeds(logic_.exited(kDecode, {0, 11}, now())).empty());
  EXPECT_EQ(deeds(logic_.exited(kGateway, {0, 0}, now())), Texts{"terminate 0"});
}

TEST_F(SupervisionTest, KillsAStageThatPassesItsDeadline) {
  all_up();
  (void)logic_.stop(now());
  EXPECT_EQ(logic_.next_deadline(), now() + 35s);
  clock_.advance(35s);
  EXPECT_EQ(deeds(logic_.tick(now())), Texts{"kill 2"});
  EXPECT_EQ(deeds(logic_.exited(kGateway, {0, 9}, now())), Texts{"terminate 1"});
}

TEST_F(SupervisionTest, ASecondRequestKillsAll) {
  all_up();
  (void)logic_.stop(now());
  EXPECT_EQ(deeds(logic_.stop(now())), (Texts{"kill 0", "kill 1", "kill 2"}));
  for (std::size_t m = 0; m < 3; ++m) (void)logic_.exited(m, {0, 9}, now());
  EXPECT_TRUE(logic_.finished());
}

TEST_F(SupervisionTest, StopsWhileOneWaitsForItsRestart) {
  all_up();
  (void)logic_.exited(kGateway, {1, 0}, now());
  EXPECT_EQ(deeds(logic_.stop(now())), Texts{"terminate 1"});
  clock_.advance(10s);
  EXPECT_TRUE(logic_.tick(now()).empty());
}

TEST_F(SupervisionTest, ReadinessWhileStoppingSaysNothing) {
  (void)logic_.begin(now());
  (void)logic_.stop(now());
  EXPECT_TRUE(logic_.ready(kRouter, now()).empty());
}

}  // namespace
}  // namespace troupe::cli
