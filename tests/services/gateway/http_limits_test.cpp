// Limits of a server that are changed while it runs, over raw sockets.
#include <gtest/gtest.h>

#include <chrono>

#include "services/gateway/http_server.hpp"
#include "tests/services/gateway/http_client.hpp"

namespace troupe::test {
namespace {

using gateway::HttpLimits;
using gateway::HttpOptions;
using gateway::HttpServer;
using gateway::Request;
using gateway::ResponseWriter;
using std::chrono::hours;
using std::chrono::milliseconds;

/// Every path answers the length of the body.
class HttpLimitsTest : public ::testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    HttpOptions options;
    static_cast<HttpLimits&>(options) = limits;
    auto server = HttpServer::start(
        std::move(options), [](const Request& request, const std::shared_ptr<ResponseWriter>& writer) {
          writer->respond({200, "text/plain", std::to_string(request.body.size()), {}});
        });
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  std::uint16_t port() const { return server_->port(); }
  std::unique_ptr<HttpServer> server_;
};

HttpLimits small_bodies() {
  HttpLimits limits;
  limits.max_body_bytes = 1000;
  return limits;
}

TEST_F(HttpLimitsTest, ARequestThatHasBegunKeepsItsLimitsAndTheNextOneOfItsConnectionHasTheNewOnes) {
  start();
  const std::string body(2000, 'x');
  HttpClient begun(port()), kept(port());
  EXPECT_EQ(kept.call("POST", "/", body).body, "2000");
  begun.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n");
  ASSERT_TRUE(begun.wait_for("HTTP/1.1 100 Continue\r\n\r\n")) << "its head has been read";
  server_->set_limits(small_bodies());
  begun.send(body);
  EXPECT_EQ(begun.read().body, "2000");
  for (HttpClient* client : {&begun, &kept}) {
    const Answer refused = client->call("POST", "/", body);
    EXPECT_EQ(refused.status, 413);
    EXPECT_NE(refused.body.find("over 1000 bytes"), std::string::npos) << refused.body;
  }
  server_->set_limits({});
  EXPECT_EQ(HttpClient(port()).call("POST", "/", body).body, "2000");
}

TEST_F(HttpLimitsTest, AHeaderMayGrowOnAConnectionThatBeganWithLess) {
  HttpLimits limits;
  limits.max_header_bytes = 2048;
  start(limits);
  std::string fields;
  for (int i = 0; i < 10; ++i) fields += "X-Long: " + std::string(10'000, 'a') + "\r\n";
  EXPECT_EQ(HttpClient(port()).call("GET", "/", {}, fields).status, 431);
  HttpClient kept(port());
  EXPECT_EQ(kept.call("GET", "/").status, 200);
  limits.max_header_bytes = 1u << 20;
  server_->set_limits(limits);
  EXPECT_EQ(kept.call("GET", "/", {}, fields).status, 200);
  limits.max_header_bytes = 2048;
  server_->set_limits(limits);
  EXPECT_EQ(kept.call("GET", "/", {}, fields).status, 431);
}

TEST_F(HttpLimitsTest, ALowerNumberOfConnectionsEndsNone) {
  start();
  HttpClient a(port()), b(port());
  EXPECT_EQ(a.call("GET", "/").status, 200);
  EXPECT_EQ(b.call("GET", "/").status, 200);
  HttpLimits limits;
  limits.max_connections = 1;
  server_->set_limits(limits);
  const Answer refused = HttpClient(port()).read();
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.body.find("holds 1 connections"), std::string::npos) << refused.body;
  EXPECT_EQ(a.call("GET", "/").status, 200);
  EXPECT_EQ(b.call("GET", "/").status, 200);
  server_->set_limits({});
  EXPECT_EQ(HttpClient(port()).call("GET", "/").status, 200);
}

TEST_F(HttpLimitsTest, DeadlinesChangeBetweenRequests) {
  HttpLimits limits;
  limits.read_timeout = limits.idle_timeout = hours(1);
  start(limits);
  HttpClient slow(port()), idle(port());
  EXPECT_EQ(slow.call("GET", "/").status, 200);
  limits.read_timeout = milliseconds(100);
  server_->set_limits(limits);
  slow.send("GET / HTT");
  EXPECT_EQ(slow.read().status, 408);
  limits.idle_timeout = milliseconds(100);
  server_->set_limits(limits);
  EXPECT_EQ(idle.call("GET", "/").status, 200);
  EXPECT_TRUE(idle.closed_by_peer());
}

}  // namespace
}  // namespace troupe::test
