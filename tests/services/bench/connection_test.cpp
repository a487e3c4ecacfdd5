// The client's side against prepared bytes.
#include <gtest/gtest.h>

#include "services/bench/stream_pool.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::load {
namespace {

struct Seen final : StreamSink {
  void on_event(std::uint64_t, std::string_view data, TimePoint) override { events.emplace_back(data); }
  void on_end(std::uint64_t, const StreamEnd& end, TimePoint) override { ends.push_back(end); }
  std::vector<std::string> events;
  std::vector<StreamEnd> ends;
};

StreamEnd run(const std::string& url_text, Seen& seen, StreamLimits limits = {}) {
  const Url url = *parse_url(url_text);
  auto pool = StreamPool::make(url, limits);
  EXPECT_TRUE(pool) << pool.error().detail;
  HttpRequest request;
  request.path = "/";
  pool->start(1, request);
  const TimePoint deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (seen.ends.empty() && std::chrono::steady_clock::now() < deadline)
    (void)pool->poll(deadline, -1, seen);
  EXPECT_EQ(seen.ends.size(), 1u);
  EXPECT_EQ(pool->open(), 0u);
  return seen.ends.empty() ? StreamEnd{} : seen.ends.front();
}

TEST(Connection, ReadsEventsCutAnywhere) {
  const std::string whole = stream_header() + event_chunk("one") + event_chunk("[DONE]") + last_chunk();
  ScriptedAnswer answer;
  for (const char c : whole) answer.pieces.emplace_back(1, c);
  ScriptServer server({answer});
  Seen seen;
  const StreamEnd end = run(server.url(), seen);
  EXPECT_EQ(end.status, 200);
  EXPECT_FALSE(end.error);
  EXPECT_EQ(seen.events, (std::vector<std::string>{"one", "[DONE]"}));
}

TEST(Connection, KeepsTheBodyOfAnAnswerThatIsNoStream) {
  ScriptServer server({{{plain_answer("{\"error\":{}}", 429)}}});
  Seen seen;
  const StreamEnd end = run(server.url(), seen);
  EXPECT_EQ(end.status, 429);
  EXPECT_EQ(end.body, "{\"error\":{}}");
}

TEST(Connection, AnAnswerCutShortIsLost) {
  ScriptServer server({{{stream_header() + event_chunk("one")}}});
  Seen seen;
  const StreamEnd end = run(server.url(), seen);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::peer_lost);
  EXPECT_EQ(seen.events.size(), 1u);
}

TEST(Connection, AServerThatSaysNothingMeetsTheDeadline) {
  ScriptServer server({{{stream_header()}, true}});
  Seen seen;
  const StreamEnd end = run(server.url(), seen, {std::chrono::seconds(10), std::chrono::milliseconds(30)});
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::deadline_exceeded);
}

TEST(Connection, NobodyListeningIsToldAtOnce) {
  std::string url;
  { url = ScriptServer({}).url(); }  // the port was free again when the server ended
  Seen seen;
  const StreamEnd end = run(url, seen);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::peer_lost);
}

TEST(Connection, ANonsenseHeaderIsRefused) {
  ScriptServer server({{{"SSH-2.0 hello\r\n\r\n"}}});
  Seen seen;
  const StreamEnd end = run(server.url(), seen);
  ASSERT_TRUE(end.error);
  EXPECT_EQ(end.error->code, Errc::wire_malformed);
}

}  // namespace
}  // namespace troupe::load
