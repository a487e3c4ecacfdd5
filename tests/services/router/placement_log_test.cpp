#include "services/router/placement_log.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/services/router/policy_builders.hpp"

namespace troupe::router {
namespace {

Explanation placement(std::uint64_t id) {
  const std::vector<Candidate> all = {worker(1, "a", 320, 100), worker(2, "b\"\n")};
  Terms terms;
  terms.able = true;
  terms.queue = 11000;
  terms.prefill = 2000;
  terms.others = 500;
  terms.score = 13500;
  Explanation e;
  e.request = {id << 32, 7};
  e.epoch = {1};
  e.model = "m";
  e.policy = "predicted_ttft";
  e.reason = "prefix";
  e.decode.assign(1, 'a');  // g++ 12 warns of the other way
  e.prompt_tokens = 340;
  e.decode_workers = workers_of(all, std::vector{terms});
  return e;
}

TEST(PlacementLog, ShowsEveryCandidateAndEveryTerm) {
  PlacementLog log(4);
  log.add(placement(1));
  log.started({std::uint64_t{1} << 32, 7}, {1}, 14000);
  const auto json = nlohmann::json::parse(to_json(log.placements()));
  const auto& shown = json.at("placements").at(0);
  EXPECT_EQ(shown.at("decode"), "a");
  EXPECT_EQ(shown.at("took_us"), 14000);
  EXPECT_TRUE(shown.at("prefill").is_null());
  const auto& candidates = shown.at("decode_candidates");
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_EQ(candidates[0].at("cached_tokens"), 320);
  EXPECT_EQ(candidates[0].at("terms_us").at("queue"), 11000);
  EXPECT_EQ(candidates[0].at("first_token_us"), 13000);
  EXPECT_EQ(candidates[1].at("worker"), "b\"\n");
  EXPECT_FALSE(candidates[1].contains("terms_us")) << "it was not able to take it";
}

TEST(PlacementLog, KeepsTheLastOnesAndShowsTheNewestFirst) {
  PlacementLog log(3);
  for (std::uint64_t id = 1; id <= 5; ++id) log.add(placement(id));
  ASSERT_EQ(log.placements().size(), 3u);
  const auto json = nlohmann::json::parse(to_json(log.placements()));
  EXPECT_EQ(json.at("placements").at(0).at("request").get<std::string>(), std::string_view("00000005"));
  log.started({std::uint64_t{5} << 32, 7}, {2}, 1);
  EXPECT_TRUE(nlohmann::json::parse(to_json(log.placements())).at("placements").at(0).at("took_us").is_null())
      << "of another epoch";
}

TEST(PlacementLog, ARefusalSaysWhyAndUntilWhen) {
  PlacementLog log(1);
  Explanation e = placement(1);
  e.refused = "queue_full: all are";
  e.retry_after_ms = 250;
  log.add(e);
  const auto json = nlohmann::json::parse(to_json(log.placements()));
  EXPECT_EQ(json.at("placements").at(0).at("refused"), "queue_full: all are");
  EXPECT_EQ(json.at("placements").at(0).at("retry_after_ms"), 250);
  EXPECT_FALSE(json.at("placements").at(0).contains("decode"));
}

TEST(PlacementLog, TellsWhatHasChangedSinceItWasLastAsked) {
  PlacementLog log(3);
  log.add(placement(1));
  log.add(placement(2));
  const auto all = log.changed_since(0);
  ASSERT_EQ(all.size(), 2u);
  const std::uint64_t known = all.back()->changed;
  EXPECT_TRUE(log.changed_since(known).empty());
  log.started({std::uint64_t{1} << 32, 7}, {1}, 14000);
  const auto changed = log.changed_since(known);
  ASSERT_EQ(changed.size(), 1u) << "its first token came";
  EXPECT_EQ(changed[0]->what->request, (RequestId{std::uint64_t{1} << 32, 7}));
}

TEST(PlacementLog, ALongPlacementIsCutToItsBestCandidates) {
  Explanation e = placement(1);
  std::vector<Candidate> all;
  std::vector<Terms> terms;
  for (std::uint64_t id = 0; id < 40; ++id) {
    all.push_back(worker(id, "w"));
    Terms each;
    each.able = id != 0;
    each.score = 1000.0 - static_cast<double>(id);
    terms.push_back(each);
  }
  e.decode_workers = workers_of(all, terms);
  const auto json =
      nlohmann::json::parse(to_json(LoggedPlacement{std::make_shared<const Explanation>(e), {}, 1}, 12));
  ASSERT_EQ(json.at("decode_candidates").size(), 12u);
  EXPECT_EQ(json.at("decode_candidates").at(0).at("terms_us").at("score"), 961) << "the best first";
  EXPECT_EQ(json.at("candidates"), 40);
}

}  // namespace
}  // namespace troupe::router
