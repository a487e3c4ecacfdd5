#include "services/bench/workload.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace troupe::load {
namespace {

std::unique_ptr<Workload> make(std::string_view name, WorkloadOptions options = {}) {
  auto made = make_workload(name, options);
  EXPECT_TRUE(made) << made.error().detail;
  return made ? std::move(*made) : nullptr;
}

const std::vector<std::string_view> kSynthetic{"chat",      "shared-prefix", "long-prompt", "decode-heavy",
                                               "copy-edit", "code",          "documents"};

std::size_t words(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

TEST(Workload, TheSameSeedGivesTheSameRequestsInAnyOrder) {
  WorkloadOptions seven;
  seven.seed = 7;
  for (const auto name : kSynthetic) {
    const auto a = make(name, seven), b = make(name, seven);
    const PlannedRequest late = b->request(5);
    for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(a->request(i), b->request(i)) << name;
    EXPECT_EQ(a->request(5), late) << name;
  }
}

TEST(Workload, AnotherSeedOrIndexGivesAnotherRequest) {
  for (const auto name : kSynthetic) {
    WorkloadOptions other;
    other.seed = 8;
    const auto a = make(name);
    EXPECT_NE(a->request(0), make(name, other)->request(0)) << name;
    EXPECT_NE(a->request(0), a->request(1)) << name;
  }
}

TEST(Workload, EveryEntryHasASummaryAndItsOwnName) {
  std::set<std::string_view> names;
  for (const WorkloadEntry& entry : builtin_workloads()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_FALSE(entry.summary.empty()) << entry.name;
  }
  EXPECT_EQ(names.size(), 9u);
}

TEST(Workload, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const auto made = make_workload("chatt", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::config_invalid);
  EXPECT_NE(made.error().detail.find("did you mean chat?"), std::string::npos);
  EXPECT_NE(made.error().detail.find("batch-file"), std::string::npos);
}

TEST(Workload, SharedPrefixRequestsShareExactlyTheirGroupsPrefix) {
  WorkloadOptions options;
  options.prefix_tokens = 100;
  options.tail_tokens = 10;
  options.groups = 2;
  const auto workload = make("shared-prefix", options);
  const auto text = [&](std::uint64_t i) { return workload->request(i).messages.at(0).content; };
  const auto common = [](const std::string& a, const std::string& b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  };
  EXPECT_GT(words(text(0).substr(0, common(text(0), text(2)))), 80u);
  EXPECT_LT(common(text(0), text(1)), 40u);
  EXPECT_NE(text(0), text(2));
}

TEST(Workload, LengthsFollowTheOptions) {
  WorkloadOptions options;
  options.prompt_tokens = 300;
  options.max_tokens = 5;
  for (const auto name : {"chat", "long-prompt", "decode-heavy"}) {
    const PlannedRequest request = make(name, options)->request(3);
    EXPECT_EQ(request.max_tokens, 5u) << name;
    EXPECT_NEAR(static_cast<double>(words(request.messages.at(0).content)), 290, 40) << name;
  }
}

TEST(Workload, DocumentsComeBack) {
  WorkloadOptions options;
  options.prompt_tokens = 50;
  options.groups = 3;
  const auto workload = make("documents", options);
  std::set<std::string> documents;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string text = workload->request(i).messages.at(0).content;
    documents.insert(text.substr(0, text.find("Question")));
  }
  EXPECT_EQ(documents.size(), 3u);
}

TEST(Workload, AMarkStandsBeforeTheFirstMessage) {
  const PlannedRequest request{{{"system", "be brief"}, {"user", "hi"}}, 4, {}};
  const PlannedRequest changed = marked(request, "b3 ");
  EXPECT_EQ(changed.messages.at(0).content, "b3 be brief");
  EXPECT_EQ(changed.messages.at(1).content, "hi");
}

}  // namespace
}  // namespace troupe::load
