#include "common/worker/metrics.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

TEST(WorkerMetrics, EachScrapeShowsTheSnapshot) {
  metrics::Registry registry;
  WorkerSnapshot now;
  add_worker_metrics(registry, [&] { return now; });
  now.counters.imports = 3;
  now.plane.bytes_received = 1000;
  now.stats = {{}, {}};
  now.stats[0].pages_free = 4;
  now.stats[1].pages_free = 6;
  std::string text = registry.serialize();
  EXPECT_NE(text.find("troupe_worker_imports_total{role=\"decode\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_worker_transfer_received_bytes_total{role=\"decode\"} 1000"), std::string::npos)
      << text;
  EXPECT_NE(text.find("troupe_worker_pages_free{role=\"decode\"} 10"), std::string::npos)
      << "summed over engines";
  now.stats[0].disk.hits = 2;
  now.stats[1].disk.hits = 1;
  now.stats[1].disk.paused = true;
  now.counters.imports = 5;
  for (engine::EngineStats& stats : now.stats) {
    stats.drafts.resize(speculation::builtin_drafters().size());
    stats.drafts[0].proposed = 10;
    stats.drafts[0].accepted = 6;
    stats.drafts[0].accepted_at[1] = 2;
  }
  text = registry.serialize();
  EXPECT_NE(text.find("troupe_worker_imports_total{role=\"decode\"} 5"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_kv_disk_hits_total{role=\"decode\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_kv_disk_paused_tiers{role=\"decode\"} 1"), std::string::npos) << text;
  const std::string first = "{drafter=\"" + std::string(speculation::builtin_drafters()[0].name) + "\"";
  EXPECT_NE(text.find("troupe_worker_draft_rows_total" + first + ",role=\"decode\"} 20"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_worker_draft_wasted_total" + first + ",role=\"decode\"} 8"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_worker_draft_position_accepted_total" + first + ",position=\"2\",role=\"decode\"} 4"), std::string::npos)
      << text;
}

TEST(WorkerMetrics, FollowTheRole) {
  metrics::Registry registry;
  WorkerSnapshot now;
  now.role = wire::Role::prefill;
  now.counters.requests = 4;
  now.counters.joined = true;
  add_worker_metrics(registry, [&] { return now; });
  EXPECT_EQ(registry.serialize().find("role=\"decode\""), std::string::npos) << "a role it never had";
  now.role = wire::Role::decode;
  now.counters.requests = 7;
  const std::string text = registry.serialize();
  EXPECT_NE(text.find("troupe_worker_requests_total{role=\"prefill\"} 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_worker_requests_total{role=\"decode\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_worker_joined_routers{role=\"decode\"} 1\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("troupe_worker_joined_routers{role=\"prefill\"}"), std::string::npos)
      << "it is not prefill any more";
  now.role = wire::Role::prefill;
  EXPECT_NE(registry.serialize().find("troupe_worker_joined_routers{role=\"prefill\"} 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe::worker
