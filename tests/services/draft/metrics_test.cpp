#include "services/draft/metrics.hpp"

#include <gtest/gtest.h>

namespace troupe::draft {
namespace {

TEST(DraftMetrics, ShowAnIdleService) {
  metrics::Registry registry;
  auto runtime = actors::Runtime::create({});
  ASSERT_TRUE(runtime.has_value());
  auto service = DraftService::create(**runtime, {}, {});
  ASSERT_TRUE(service.has_value()) << to_string(service.error());
  add_service_metrics(registry, **service);
  const std::string text = registry.serialize();
  for (const char* name :
       {"troupe_draft_guesses_total 0", "troupe_draft_orders_late_total 0", "troupe_draft_sessions_count 0"})
    EXPECT_NE(text.find(name), std::string::npos) << text;
}

}  // namespace
}  // namespace troupe::draft
