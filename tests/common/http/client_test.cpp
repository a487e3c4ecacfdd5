#include "common/http/client.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/common/http/script_server.hpp"

namespace troupe {
namespace {

Expected<HttpAnswer> get(const ScriptServer& server, int interrupt_fd = -1) {
  HttpRequest request;
  request.path = "/x";
  return HttpAnswer::open(*parse_url(server.url()), request, interrupt_fd);
}

TEST(Url, IsTakenApart) {
  const auto url = parse_url("http://host:81/v1/");
  EXPECT_EQ(url->host, "host");
  EXPECT_EQ(url->port, 81);
  EXPECT_EQ(url->path, "/v1");
  EXPECT_EQ(parse_url("http://host")->path, "/");
  EXPECT_EQ(parse_url("http://host")->port, 80);
  EXPECT_EQ(parse_url("http://[::1]:8080/v1")->host, "::1");
  EXPECT_EQ(parse_url("http://[::1]:8080/v1")->port, 8080);
  for (const char* bad : {"", "host", "https://host", "http://", "http://h:0", "http://h:x", "http://h:99999",
                          "http://[::1", "http://[::1]x", "http://h/a b", "http://h/\r\nX: y"})
    EXPECT_FALSE(parse_url(bad)) << bad;
  EXPECT_FALSE(url->secure);
  EXPECT_EQ(parse_any_url("http://host")->port, 80);
  const auto secure = parse_any_url("https://host/v1");
  ASSERT_TRUE(secure);
  EXPECT_TRUE(secure->secure);
  EXPECT_EQ(secure->port, 443);
  EXPECT_EQ(parse_any_url("https://host:8443")->port, 8443);
  for (const char* bad : {"https://", "https:/host", "ftp://host"}) EXPECT_FALSE(parse_any_url(bad)) << bad;
}

TEST(HttpAnswer, ReadsABodyWithALength) {
  ScriptServer server({{{plain_answer("{\"a\":1}") + "junk after it"}}});
  auto answer = get(server);
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->header("content-type"), "application/json");
  EXPECT_EQ(answer->header("nothing"), "");
  EXPECT_EQ(*answer->read_all(100), "{\"a\":1}");
}

TEST(HttpAnswer, ReadsAChunkedBodyInPieces) {
  ScriptServer server({{{"HTTP/1.1 200 OK\r\ntransfer-en", "coding: chunked\r\n\r", "\n3\r\nab", "c\r\n",
                         "2\r\nde\r\n0\r", "\n\r\n"}}});
  auto answer = get(server);
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer->read_all(100), "abcde");
  EXPECT_EQ(*answer->read_some(), std::nullopt);
}

TEST(HttpAnswer, ReadsABodyThatEndsWithTheConnection) {
  ScriptServer server({{{"HTTP/1.0 404 Not Found\r\n\r\nno such"}}});
  auto answer = get(server);
  EXPECT_EQ(answer->status(), 404);
  EXPECT_EQ(*answer->read_all(100), "no such");
}

TEST(HttpAnswer, SendsRequestHeadersAndBody) {
  ScriptServer server({{{plain_answer("")}}});
  HttpRequest request{"POST", "/v1/x", {{"Content-Type", "text/plain"}}, "body"};
  ASSERT_TRUE(HttpAnswer::open(*parse_url(server.url()), request, -1));
  EXPECT_EQ(server.requests()[0],
            "POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                "\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody");
}

TEST(HttpAnswer, SaysThatABodyWasCut) {
  ScriptServer server(
      {{{"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"}}, {{stream_header() + "5\r\nab"}}});
  for (int i = 0; i < 2; ++i) {
    auto answer = get(server);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->read_all(100).error().code, Errc::peer_lost);
  }
}

TEST(HttpAnswer, RefusesWhatIsNoHttp) {
  ScriptServer server({{{"SSH-2.0-x\r\n\r\n"}},
                       {{"HTTP/1.1 abc\r\n\r\n"}},
                       {{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}},
                       {{""}}});
  for (const Errc expected :
       {Errc::wire_malformed, Errc::wire_malformed, Errc::wire_malformed, Errc::peer_lost})
    EXPECT_EQ(get(server).error().code, expected);
}

TEST(HttpAnswer, BoundsHeaderAndBody) {
  ScriptServer server(
      {{{"HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x')}}, {{plain_answer(std::string(1000, 'x'))}}});
  EXPECT_EQ(get(server).error().code, Errc::header_too_large);
  auto answer = get(server);
  EXPECT_EQ(answer->read_all(999).error().code, Errc::body_too_large);
}

TEST(HttpAnswer, AnInterruptEndsTheWaitAndClosesTheConnection) {
  ScriptServer server({{{stream_header() + event_chunk("a")}, true}});
  const int interrupt = ::eventfd(0, EFD_CLOEXEC);
  {
    auto answer = get(server, interrupt);
    ASSERT_TRUE(answer);
    EXPECT_EQ(**answer->read_some(), "data: a\n\n");
    ::eventfd_write(interrupt, 1);
    EXPECT_EQ(answer->read_some().error().code, Errc::cancelled);
  }
  EXPECT_EQ(server.closed_by_client(), 1);
  ::close(interrupt);
}

TEST(HttpAnswer, GivesUpAfterSilence) {
  ScriptServer server({{{stream_header()}, true}});
  HttpTimeouts timeouts;
  timeouts.silence = std::chrono::milliseconds(1);
  HttpRequest request;
  request.path = "/";
  // The header itself may come later than that.
  auto answer = HttpAnswer::open(*parse_url(server.url()), request, -1, timeouts);
  const Errc code = answer ? answer->read_some().error().code : answer.error().code;
  EXPECT_EQ(code, Errc::deadline_exceeded);
}

TEST(HttpAnswer, NamesTheAddressThatRefuses) {
  Url url = *parse_url("http://127.0.0.1");
  {
    const ScriptServer gone({});
    url.port = gone.port();
  }
  const auto answer = HttpAnswer::open(url, {}, -1);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::peer_lost);
  EXPECT_EQ(answer.error().detail, "127.0.0.1:" + std::to_string(url.port) + ": Connection refused");
}

}  // namespace
}  // namespace troupe
