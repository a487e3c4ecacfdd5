// A collector that takes, refuses, hangs or is not there.
#include "common/trace/exporter.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include <nlohmann/json.hpp>

namespace troupe::trace {
namespace {

using namespace std::chrono_literals;

/// Answers each connection's one request with `status`; 0: never answers.
class Collector {
 public:
  explicit Collector(int status)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), status_(status) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { work(); });
  }
  ~Collector() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces"; }
  std::size_t spans() const { return spans_; }

 private:
  void work() {
    std::vector<int> silent;
    for (int fd = ::accept(listener_, nullptr, nullptr); fd >= 0;
         fd = ::accept(listener_, nullptr, nullptr)) {
      if (status_ == 0) {
        silent.push_back(fd);
        continue;
      }
      const std::string body = read_body(fd);
      const auto parsed = nlohmann::json::parse(body, nullptr, false);
      if (!parsed.is_discarded()) spans_ += parsed["resourceSpans"][0]["scopeSpans"][0]["spans"].size();
      const std::string answer = "HTTP/1.1 " + std::to_string(status_) + " X\r\nContent-Length: 2\r\n\r\n{}";
      (void)::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
    for (const int fd : silent) ::close(fd);
  }
  static std::string read_body(int fd) {
    std::string text;
    char buffer[65536];
    while (true) {
      const auto size = ::recv(fd, buffer, sizeof buffer, 0);
      if (size <= 0) return {};
      text.append(buffer, static_cast<std::size_t>(size));
      const auto head = text.find("\r\n\r\n");
      const auto length = text.find("Content-Length: ");
      if (head == std::string::npos || length == std::string::npos) continue;
      if (text.size() >= head + 4 + std::stoul(text.substr(length + 16))) return text.substr(head + 4);
    }
  }

  int listener_;
  const int status_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> spans_{0};
  std::thread thread_;
};

Span span() {
  return {{1, 1}, {2}, {}, {3, 3}, "work", false, false, 1, 2};
}
ExporterOptions options_for(std::string endpoint) {
  ExporterOptions options;
  options.endpoint = std::move(endpoint);
  options.origin = {"gateway", "gateway-0"};
  options.linger = 1ms;
  return options;
}

TEST(Exporter, SendsEverythingBeforeItEnds) {
  Collector collector(200);
  {
    auto exporter = std::move(*Exporter::create(options_for(collector.endpoint())));
    for (int i = 0; i < 1000; ++i) exporter->offer(span());
  }
  EXPECT_EQ(collector.spans(), 1000U);
}

TEST(Exporter, CountsWhatACollectorRefuses) {
  Collector collector(503);
  auto exporter = std::move(*Exporter::create(options_for(collector.endpoint())));
  exporter->offer(span());
  while (exporter->counters().failed == 0) std::this_thread::yield();
  EXPECT_EQ(exporter->counters().exported, 0U);
}

TEST(Exporter, DropsWhatDoesNotFitWhileACollectorHangs) {
  Collector collector(0);
  ExporterOptions options = options_for(collector.endpoint());
  options.queue = 10;
  options.patience = 100ms;
  auto exporter = std::move(*Exporter::create(options));
  for (int i = 0; i < 5000; ++i) exporter->offer(span());
  EXPECT_GT(exporter->counters().dropped, 4000U);
  const auto counters = exporter->counters();
  EXPECT_EQ(counters.exported, 0U);
}

TEST(Exporter, EndsWithoutItsCollector) {
  std::string endpoint;
  {
    const Collector gone(200);
    endpoint = gone.endpoint();
  }
  auto exporter = std::move(*Exporter::create(options_for(endpoint)));
  for (int i = 0; i < 600; ++i) exporter->offer(span());
  exporter.reset();
}

TEST(Exporter, RefusesAnEndpointThatIsNone) {
  EXPECT_EQ(Exporter::create(options_for("https://x/v1/traces")).error().code, Errc::config_invalid);
}

}  // namespace
}  // namespace troupe::trace
