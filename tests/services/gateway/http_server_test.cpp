// The server by itself, with routes made for the test, over raw sockets.
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "services/gateway/http_server.hpp"
#include "tests/services/gateway/http_client.hpp"

namespace troupe::test {
namespace {

using gateway::HttpOptions;
using gateway::HttpServer;
using gateway::Request;
using gateway::Response;
using gateway::ResponseWriter;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Routes: /echo answers the body, /hold keeps the writer for the test, /throw throws, /big streams 8 MiB.
class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    auto server = HttpServer::start(std::move(options),
                                    [this](Request request, std::shared_ptr<ResponseWriter> writer) {
                                      route(std::move(request), std::move(writer));
                                    });
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  void route(Request request, std::shared_ptr<ResponseWriter> writer) {
    if (request.path == "/throw") throw std::runtime_error("a fault in a route");
    if (request.path == "/echo") {
      std::string body = request.method;
      body.append("|").append(request.query).append("|").append(request.body);
      return writer->respond({200, "text/plain", std::move(body), {}});
    }
    if (request.path == "/big") return stream_much(*writer);
    writer->on_gone([this] { note_gone(); });
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(writer));
    changed_.notify_all();
  }
  static void stream_much(ResponseWriter& writer) {
    writer.start_stream(200, "text/plain");
    const std::string piece(64u << 10, 'x');
    for (int i = 0; i < 128 && writer.write(piece); ++i) {
    }
    writer.finish();
  }
  void note_gone() {
    const std::lock_guard lock(mutex_);
    ++gone_;
    changed_.notify_all();
  }
  std::shared_ptr<ResponseWriter> held() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, seconds(10), [&] { return !held_.empty(); })) return nullptr;
    auto writer = std::move(held_.front());
    held_.pop_front();
    return writer;
  }
  bool wait_gone(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return gone_ >= count; });
  }
  std::uint16_t port() const { return server_->port(); }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<ResponseWriter>> held_;
  int gone_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, KeepsAConnectionForManyRequests) {
  start();
  HttpClient client(port());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.call("POST", "/echo?q=1", std::to_string(i)).body, "POST|q=1|" + std::to_string(i));
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  HttpClient client(port());
  for (int i = 10; i < 60; ++i) client.request("POST", "/echo", std::to_string(i));
  for (int i = 10; i < 60; ++i) EXPECT_EQ(client.read().body.substr(6), std::to_string(i));
}

TEST_F(HttpServerTest, ARequestPipelinedIntoAStreamWaitsForItsEnd) {
  start();
  HttpClient client(port());
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/event-stream");
  writer->write("data: 1\n\n");
  ASSERT_TRUE(client.wait_for("data: 1"));
  client.request("POST", "/echo", "later");
  client.request("POST", "/echo", "latest");
  EXPECT_TRUE(writer->write("data: 2\n\n"));
  writer->finish();
  EXPECT_EQ(client.read().body, "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(client.read().body, "POST||later");
  EXPECT_EQ(client.read().body, "POST||latest");
}

TEST_F(HttpServerTest, ALeavingClientIsSeenBehindManyPipelinedBytes) {
  start();
  HttpClient client(port());
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  client.send("POST /echo HTTP/1.1\r\nContent-Length: 120000\r\n\r\n" + std::string(120000, 'x'));
  client.half_close();
  EXPECT_TRUE(wait_gone(1));
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  start();
  HttpClient client(port());
  client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  client.send("6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_EQ(client.read().body, "POST||hello world");
  EXPECT_EQ(client.call("GET", "/echo").body, "GET||");
}

TEST_F(HttpServerTest, Says100BeforeAnExpectedBody) {
  start();
  HttpClient client(port());
  client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("abc");
  EXPECT_EQ(client.read().body, "POST||abc");
}

TEST_F(HttpServerTest, RefusesOtherExpectationsWith417) {
  start();
  HttpClient client(port());
  client.send("POST /echo HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read().status, 417);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpServerTest, RefusesALongHeaderWith431) {
  HttpOptions options;
  options.max_header_bytes = 2048;
  start(std::move(options));
  HttpClient client(port());
  client.send("GET /echo HTTP/1.1\r\nX-Long: " + std::string(4000, 'a') + "\r\n\r\n");
  EXPECT_EQ(client.read().status, 431);
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpServerTest, RefusesALongBodyWith413BeforeItArrives) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  start(std::move(options));
  HttpClient declared(port());
  declared.send("POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_EQ(declared.read().status, 413);
  HttpClient chunked(port());
  chunked.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n" + std::string(512, 'x') +
               "\r\n200\r\n" + std::string(512, 'x') + "\r\n");
  EXPECT_EQ(chunked.read().status, 413);
  HttpClient fits(port());
  EXPECT_EQ(fits.call("POST", "/echo", std::string(1000, 'x')).status, 200);
}

TEST_F(HttpServerTest, APathMayTakeLessThanOthers) {
  HttpOptions options;
  options.max_body_bytes = 1000;
  options.body_limit = [](const Request& head) -> gateway::BodyLimit {
    if (head.header("X-Stranger") == "yes") return {10, gateway::ApiError{401, "stranger", "", "who are you?"}};
    return {head.method == "POST" && head.path == "/echo" ? std::size_t{1u << 20} : std::size_t{10}};
  };
  start(std::move(options));
  EXPECT_EQ(HttpClient(port()).call("POST", "/echo?a=b", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(HttpClient(port()).call("POST", "http://t/echo", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(HttpClient(port()).call("POST", "/echo", std::string(1001, 'x')).status, 413) << "never more than all";
  EXPECT_EQ(HttpClient(port()).call("PUT", "/echo", std::string(11, 'x')).status, 413);
  HttpClient declared(port());
  declared.send("POST /other HTTP/1.1\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  const Answer refused = declared.read();
  EXPECT_EQ(refused.status, 413) << "nothing was asked for";
  EXPECT_NE(refused.body.find("over 10 bytes"), std::string::npos);
  HttpClient chunked(port());
  chunked.send("POST /other HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n");
  EXPECT_EQ(chunked.read().status, 413);
  EXPECT_EQ(HttpClient(port()).call("POST", "/echo", std::string(11, 'x'), "X-Stranger: yes\r\n").status, 401);
  EXPECT_EQ(HttpClient(port()).call("POST", "/echo", std::string(10, 'x'), "X-Stranger: yes\r\n").status, 200);
  HttpClient kept(port());
  EXPECT_EQ(kept.call("PUT", "/echo", "0123456789").status, 200) << "ten fit";
  EXPECT_EQ(kept.call("POST", "/echo", std::string(1000, 'x')).status, 200) << "the limit is a request's";
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttpWith400) {
  start();
  for (const char* bytes : {"hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\nx\r\n\r\n",
                            "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                            "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                            "\x16\x03\x01\x02\x05\x01\r\n\r\n"}) {
    SCOPED_TRACE(bytes);
    HttpClient client(port());
    client.send(bytes);
    EXPECT_EQ(client.read().status, 400);
    EXPECT_TRUE(client.closed_by_peer());
  }
}

TEST_F(HttpServerTest, ASlowHeaderOrBodyGets408) {
  HttpOptions options;
  options.read_timeout = milliseconds(200);
  start(std::move(options));
  HttpClient header(port());
  header.send("GET /echo HTT");
  EXPECT_EQ(header.read().status, 408);
  HttpClient body(port());
  body.send("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.read().status, 408);
  EXPECT_TRUE(body.closed_by_peer());
}

TEST_F(HttpServerTest, BytesThatTrickleDoNotProlongTheDeadline) {
  HttpOptions options;
  options.read_timeout = milliseconds(100);
  start(std::move(options));
  HttpClient client(port());
  client.send("GET /echo HTTP/1.1\r\nX-Slow: ");
  for (int i = 0; i < 60; ++i) {
    client.send("a");
    std::this_thread::sleep_for(milliseconds(5));
  }
  client.send("\r\n\r\n");
  EXPECT_EQ(client.read().status, 408);
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosedSilently) {
  HttpOptions options;
  options.idle_timeout = milliseconds(100);
  start(std::move(options));
  HttpClient client(port());
  EXPECT_EQ(client.call("GET", "/echo").status, 200);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(client.received(), "");
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondTheLimitWith503) {
  HttpOptions options;
  options.max_connections = 2;
  start(std::move(options));
  HttpClient a(port()), b(port());
  EXPECT_EQ(a.call("GET", "/echo").status, 200);
  EXPECT_EQ(b.call("GET", "/echo").status, 200);
  HttpClient c(port());
  const Answer refused = c.read();  // without sending anything
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_TRUE(c.closed_by_peer());
  EXPECT_EQ(a.call("GET", "/echo").status, 200);
}

TEST_F(HttpServerTest, AClientThatLeavesIsGone) {
  start();
  for (const bool streaming : {false, true}) {
    HttpClient client(port());
    client.request("GET", "/hold");
    const auto writer = held();
    ASSERT_TRUE(writer);
    if (streaming) writer->start_stream(200, "text/plain");
    client.close();
    EXPECT_TRUE(wait_gone(streaming ? 2 : 1));
    EXPECT_TRUE(writer->gone());
    EXPECT_FALSE(writer->write("x"));
  }
}

TEST_F(HttpServerTest, AHalfClosedClientIsGone) {
  start();
  HttpClient client(port());
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  client.half_close();
  EXPECT_TRUE(wait_gone(1));
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCutByBytes) {
  HttpOptions options;
  options.max_buffered_bytes = 1u << 20;
  start(std::move(options));
  HttpClient client(port(), 4096);
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/plain");
  const std::string piece(256u << 10, 'x');
  int written = 0;
  while (written < 1000 && writer->write(piece)) ++written;
  EXPECT_LT(written, 1000);
  EXPECT_TRUE(wait_gone(1));
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCutByTime) {
  HttpOptions options;
  options.write_timeout = milliseconds(200);
  options.max_buffered_bytes = 64u << 20;
  start(std::move(options));
  HttpClient client(port(), 4096);
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/plain");
  writer->write(std::string(32u << 20, 'x'));
  EXPECT_TRUE(wait_gone(1));
}

TEST_F(HttpServerTest, ABigStreamArrivesWhole) {
  HttpOptions options;
  options.max_buffered_bytes = 16u << 20;
  start(std::move(options));
  HttpClient client(port());
  const Answer answer = client.call("GET", "/big");
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body.size(), 8u << 20);
}

TEST_F(HttpServerTest, ADroppedWriterAnswers500OrBreaksTheStream) {
  start();
  HttpClient whole(port());
  whole.request("GET", "/hold");
  held();
  EXPECT_EQ(whole.read().status, 500);
  HttpClient broken(port());
  broken.request("GET", "/hold");
  {
    const auto writer = held();
    ASSERT_TRUE(writer);
    writer->start_stream(200, "text/plain");
    writer->write("abc");
  }
  const Answer answer = broken.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.whole);
}

TEST_F(HttpServerTest, ARouteThatThrowsAnswers500AndTheConnectionLives) {
  start();
  HttpClient client(port());
  EXPECT_EQ(client.call("GET", "/throw").status, 500);
  EXPECT_EQ(client.call("GET", "/echo").status, 200);
}

TEST_F(HttpServerTest, Http10GetsAnAnswerThatEndsWithTheConnection) {
  start();
  HttpClient client(port());
  client.send("GET /hold HTTP/1.0\r\n\r\n");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/plain");
  writer->write("plain");
  writer->finish();
  const Answer answer = client.read();
  EXPECT_EQ(answer.body, "plain");
  EXPECT_FALSE(answer.has("chunked"));
}

TEST_F(HttpServerTest, ClosesWhenAskedTo) {
  start();
  HttpClient client(port());
  const Answer answer = client.call("GET", "/echo", "", "Connection: close\r\n");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_F(HttpServerTest, DrainEndsStreamsAndTellsRequests) {
  start();
  HttpClient streaming(port()), idle(port());
  EXPECT_EQ(idle.call("GET", "/echo").status, 200);
  streaming.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/plain");
  server_->begin_drain();
  EXPECT_TRUE(server_->draining());
  writer->write("the end");
  const Answer kept = idle.call("GET", "/echo");
  EXPECT_EQ(kept.status, 200);  // a route decides by Request::draining; the connection ends after it
  EXPECT_EQ(kept.header("Connection"), "close");
  writer->finish();
  EXPECT_TRUE(server_->stop(seconds(10)));
  EXPECT_EQ(streaming.read().body, "the end");
}

TEST_F(HttpServerTest, WhoeverHasConnectedBeforeADrainIsAnsweredNotReset) {
  HttpOptions options;
  options.fresh_grace = seconds(10);
  start(options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(std::make_unique<HttpClient>(port()));
  server_->begin_drain();
  std::thread stopping([&] { EXPECT_TRUE(server_->stop(seconds(10))); });
  for (const auto& client : clients) {
    const Answer answer = client->call("GET", "/echo");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Connection"), "close");
  }
  stopping.join();
}

TEST_F(HttpServerTest, StopCutsWhatIsLeftAtTheDeadline) {
  start();
  HttpClient client(port());
  client.request("GET", "/hold");
  const auto writer = held();
  ASSERT_TRUE(writer);
  writer->start_stream(200, "text/plain");
  EXPECT_FALSE(server_->stop(milliseconds(50)));
  EXPECT_TRUE(wait_gone(1));
  EXPECT_FALSE(client.read().whole);
  server_.reset();
  EXPECT_FALSE(writer->write("after the server's end"));
  writer->post([] { FAIL() << "posted to a server that is gone"; });
}

TEST_F(HttpServerTest, ATakenPortNamesItself) {
  start();
  HttpOptions options;
  options.port = port();
  const auto second = HttpServer::start(options, [](Request, std::shared_ptr<ResponseWriter>) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::address_in_use);
  EXPECT_NE(second.error().detail.find(std::to_string(port())), std::string::npos);
}

TEST_F(HttpServerTest, AnAddressThatIsNoneIsAConfigError) {
  HttpOptions options;
  options.address = "not-an-address";
  const auto server = HttpServer::start(options, [](Request, std::shared_ptr<ResponseWriter>) {});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::config_invalid);
}

TEST_F(HttpServerTest, ManyClientsOnManyThreadsGetTheirOwnAnswers) {
  HttpOptions options;
  options.threads = 3;
  start(std::move(options));
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      HttpClient client(port());
      for (int i = 0; i < 50; ++i) {
        std::string body = std::to_string(t);
        body.append(":").append(std::to_string(i));
        right += client.call("POST", "/echo", body).body == "POST||" + body ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

}  // namespace
}  // namespace troupe::test
