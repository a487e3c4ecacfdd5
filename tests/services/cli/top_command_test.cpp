// `troupe top` against a gateway that is a script.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "services/cli/command.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

Ran top(Arguments arguments) {
  std::ostringstream out, err;
  Io io{out, err, -1, {}};
  const int code = top_command(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

std::string chunk(const std::string& name, const std::string& data) {
  const std::string event = "event: " + name + "\ndata: " + data + "\n\n";
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", event.size());
  return size.data() + event + "\r\n";
}

const std::string kCluster =
    R"({"joined":true,"router":"0011aabb","nodes":[{"id":"aa","role":"decode","name":"decode-7","loads":[{"running":2}]}]})";

TEST(TopCommand, OnceShowsOneFrameOfTheGatewaysEvents) {
  ScriptServer server({{{stream_header(), chunk("clock", "100.5"), chunk("gateway", R"({"in_flight":42})"),
                         chunk("cluster", kCluster)},
                        true}});
  const Ran ran = top({"--once", "--url", server.url(), "--interval", "20ms", "--width", "60"});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("in flight 42"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("decode-7  decode"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find('\x1b'), std::string::npos) << "no terminal, no escapes";
  EXPECT_TRUE(server.requests()[0].starts_with("GET /events/cluster HTTP/1.1\r\n")) << server.requests()[0];
}

TEST(TopCommand, AGatewayThatCannotBeReachedIsSaid) {
  std::uint16_t port = 0;
  { port = ScriptServer({}).port(); }
  for (const Arguments& more : {Arguments{"--once"}, Arguments{}}) {
    Arguments asked{"--url", "http://127.0.0.1:" + std::to_string(port)};
    asked.insert(asked.end(), more.begin(), more.end());
    const Ran ran = top(asked);
    EXPECT_EQ(ran.code, failed);
    EXPECT_NE(ran.err.find("the gateway cannot be reached: 127.0.0.1:"), std::string::npos) << ran.err;
  }
}

TEST(TopCommand, AnotherProgramIsNoGateway) {
  ScriptServer server({{{plain_answer("what?", 404)}}});
  const Ran ran = top({"--once", "--url", server.url()});
  EXPECT_EQ(ran.code, failed);
  EXPECT_NE(ran.err.find("is no gateway that shows its cluster: it answered 404 what?"), std::string::npos)
      << ran.err;
}

TEST(TopCommand, AStreamThatEndsBeforeAFrameIsAnError) {
  ScriptServer server({{{stream_header(), chunk("clock", "1"), last_chunk()}}});
  const Ran ran = top({"--once", "--url", server.url(), "--interval", "1h"});
  EXPECT_EQ(ran.code, failed);
  EXPECT_NE(ran.err.find("the gateway ended its events"), std::string::npos) << ran.err;
}

TEST(TopCommand, WrongFlagsAreBadInput) {
  for (const Arguments& wrong : {Arguments{"--url", "ftp://x"},
                                 {"--interval", "1us"},
                                 {"--interval", "soon"},
                                 {"--width", "5"},
                                 {"stray"}})
    EXPECT_EQ(top(wrong).code, bad_input) << wrong.front();
}

}  // namespace
}  // namespace troupe::cli
