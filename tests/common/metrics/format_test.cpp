#include "common/metrics/format.hpp"

#include <gtest/gtest.h>

namespace troupe::metrics {
namespace {

TEST(Format, IsTextForWhoeverAsksForNothingElse) {
  for (const char* accept : {"", "*/*", "text/plain", "text/plain;version=0.0.4", "text/html, */*;q=0.1",
                             "application/json", ";;,,q=", "application/openmetrics-text;version=2.0.0",
                             "application/openmetrics-text;q=0", "application/openmetrics-text;q=x"})
    EXPECT_EQ(negotiate(accept), Format::text) << accept;
}

TEST(Format, IsOpenMetricsWhereThatIsPreferred) {
  for (const char* accept :
       {"application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/"
        "plain;version=0.0.4;"
        "q=0.5,*/*;q=0.1",
        "text/plain;q=0.4 , application/openmetrics-text ; q=0.4"})
    EXPECT_EQ(negotiate(accept), Format::openmetrics) << accept;
  EXPECT_EQ(negotiate("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;q=0.5"), Format::text);
}

TEST(Format, NamesItself) {
  EXPECT_EQ(negotiate(content_type(Format::openmetrics)), Format::openmetrics);
  EXPECT_EQ(negotiate(content_type(Format::text)), Format::text);
}

}  // namespace
}  // namespace troupe::metrics
