// `troupe chat` and `troupe bench` against an API that speaks TLS: whose certificate they take, and whose
// not.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "common/http/client.hpp"
#include "common/transport/curve.hpp"
#include "services/cli/command.hpp"
#include "services/gateway/http_server.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

std::string long_text() {
  std::string text;
  for (int i = 0; i < 4000; ++i) text += "word" + std::to_string(i) + ' ';
  return text;
}

/// An endpoint of one model whose every answer is a stream of long_text(), over HTTPS.
class HttpsClients : public ::testing::Test {
 protected:
  void start(const std::string& address = "127.0.0.1") {
    ASSERT_TRUE(security::make_keys(folder_ / "own", {make_curve_pair, {}}));
    ASSERT_TRUE(security::make_keys(folder_ / "foreign", {make_curve_pair, {}}));
    gateway::HttpOptions options;
    options.address = address;
    options.tls.certificate = (folder_ / "own/1.node.pem").string();
    options.tls.key = (folder_ / "own/1.node.key").string();
    auto server = gateway::HttpServer::start(
        options, [](gateway::Request request, std::shared_ptr<gateway::ResponseWriter> writer) {
          answer(request, *writer);
        });
    ASSERT_TRUE(server) << to_string(server.error());
    server_ = std::move(*server);
    url_ = "https://" + address + ":" + std::to_string(server_->port()) + "/v1";
  }
  static void answer(const gateway::Request& request, gateway::ResponseWriter& writer) {
    if (request.path == "/v1/models")
      return writer.respond({200, "application/json", R"({"data":[{"id":"m"}]})", {}});
    writer.start_stream(200, "text/event-stream");
    const std::string text = long_text();
    for (std::size_t at = 0; at < text.size(); at += 1000)
      writer.write("data: {\"choices\":[{\"delta\":{\"content\":\"" + text.substr(at, 1000) + "\"}}]}\n\n");
    writer.write("data: [DONE]\n\n");
    writer.finish();
  }
  [[nodiscard]] std::string authority(const char* keys = "own") const {
    return (folder_ / keys / "1.ca.pem").string();
  }

  Ran chat(Arguments more) const {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    EXPECT_EQ(::write(pipe[1], "a\nb\n", 4), 4);
    ::close(pipe[1]);
    std::ostringstream out, err;
    Io io{out, err, pipe[0], {}};
    more.insert(more.begin(), {"--url", url_});
    const int code = chat_command(std::move(more), io);
    ::close(pipe[0]);
    return {code, out.str(), err.str()};
  }
  Ran bench(Arguments more) const {
    std::ostringstream out, err;
    Io io{out, err, 0, {}};
    more.insert(more.begin(), {"--url", url_, "--requests", "12", "--concurrency", "3", "--warmup", "0"});
    const int code = bench_command(std::move(more), io);
    return {code, out.str(), err.str()};
  }

  test::SecretFolder folder_;
  std::unique_ptr<gateway::HttpServer> server_;
  std::string url_;
};

TEST_F(HttpsClients, ChatSpeaksWithAServerWhoseAuthorityItWasGiven) {
  start();
  const Ran ran = chat({"--cacert", authority()});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_EQ(ran.out, long_text() + "\n" + long_text() + "\n");
}

TEST_F(HttpsClients, WithoutItOrWithAnotherOneNothingIsSent) {
  start();
  for (const Arguments& trust : {Arguments{}, {"--cacert", authority("foreign")}}) {
    const Ran ran = chat(trust);
    EXPECT_EQ(ran.code, failed);
    EXPECT_NE(ran.err.find("its certificate is not believed"), std::string::npos) << ran.err;
    EXPECT_EQ(ran.out, "");
    const Ran measured = bench(trust);
    EXPECT_EQ(measured.code, failed);
    EXPECT_NE(measured.err.find("its certificate is not believed"), std::string::npos) << measured.err;
  }
  EXPECT_EQ(chat({"--cacert", "/no/such/file"}).code, bad_input);
  EXPECT_EQ(chat({"--cacert", (folder_ / "own/1.curve").string()}).code, bad_input) << "no certificate";
  EXPECT_EQ(bench({"--cacert", "/no/such/file"}).code, bad_input);
}

TEST_F(HttpsClients, AHostThatTheCertificateDoesNotNameIsNotBelieved) {
  start("127.0.0.2");
  EXPECT_NE(chat({"--cacert", authority()}).err.find("its certificate is not believed"), std::string::npos);
}

TEST_F(HttpsClients, BenchMeasuresManyStreamsOverKeptConnections) {
  start();
  const Ran ran = bench({"--cacert", authority(), "--model", "m"});
  EXPECT_EQ(ran.code, ok) << ran.err << ran.out;
  EXPECT_LE(server_->connections(), 3u);
}

TEST_F(HttpsClients, AWholeAnswerIsReadWhereverItsPiecesEnd) {
  start();
  const auto url = parse_any_url(url_);
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->secure);
  const auto trust = trust_for(*url, authority());
  ASSERT_TRUE(trust) << to_string(trust.error());
  for (int i = 0; i < 5; ++i) {
    HttpRequest request;
    request.path = "/v1/completions";
    auto answer = HttpAnswer::open(*url, request, -1, {}, *trust);
    ASSERT_TRUE(answer) << to_string(answer.error());
    const auto text = answer->read_all(1u << 20);
    ASSERT_TRUE(text) << to_string(text.error());
    EXPECT_TRUE(text->ends_with("data: [DONE]\n\n"));
    EXPECT_GT(text->size(), long_text().size());
  }
}

}  // namespace
}  // namespace troupe::cli
