#include "common/worker/metrics.hpp"

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

TEST(WorkerMetrics, EachScrapeShowsTheSnapshot) {
  metrics::Registry registry;
  WorkerSnapshot now;
  add_worker_metrics(registry, "decode", [&] { return now; });
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
  text = registry.serialize();
  EXPECT_NE(text.find("troupe_worker_imports_total{role=\"decode\"} 5"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_kv_disk_hits_total{role=\"decode\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_kv_disk_paused_tiers{role=\"decode\"} 1"), std::string::npos) << text;
}

}  // namespace
}  // namespace troupe::worker
