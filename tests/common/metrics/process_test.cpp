#include "common/metrics/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace troupe::metrics {
namespace {

double value_of(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
}

TEST(ProcessMetrics, SayWhatTheSystemSays) {
  Registry registry;
  add_process_metrics(registry);
  const std::string text = registry.serialize();
  EXPECT_GT(value_of(text, "troupe_process_resident_bytes"), 1e6);
  EXPECT_GE(value_of(text, "troupe_process_threads"), 1);
  EXPECT_GT(value_of(text, "troupe_process_start_time_seconds"), 1e9);
  EXPECT_GE(value_of(text, "troupe_process_cpu_seconds_total"), 0);
}

TEST(ProcessMetrics, CountOneMoreDescriptorWhenOneIsOpened) {
  Registry registry;
  add_process_metrics(registry);
  const double before = value_of(registry.serialize(), "troupe_process_open_descriptors");
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const double during = value_of(registry.serialize(), "troupe_process_open_descriptors");
  ::close(fd);
  EXPECT_EQ(during, before + 1);
  EXPECT_EQ(value_of(registry.serialize(), "troupe_process_open_descriptors"), before);
}

}  // namespace
}  // namespace troupe::metrics
