// The server over TLS: real handshakes by OpenSSL's own client, certificates made for the test.
#include "services/gateway/http_tls.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/security/certificates.hpp"
#include "common/security/key_files.hpp"
#include "services/gateway/http_server.hpp"
#include "tests/services/gateway/http_client.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::test {
namespace {

using gateway::HttpOptions;
using gateway::HttpServer;
using gateway::Request;
using gateway::ResponseWriter;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// What /echo makes of a body.
std::string framed(std::string_view body) {
  std::string text(1, '<');
  return text.append(body).append(1, '>');
}

/// One HTTPS connection; every wait ends after 10 s.
class TlsClient {
 public:
  /// `authority`: PEM of the one that is trusted.
  TlsClient(std::uint16_t port, const std::string& authority, int newest = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_client_method())) {
    const Memory memory(BIO_new_mem_buf(authority.data(), static_cast<int>(authority.size())));
    const std::unique_ptr<X509, void (*)(X509*)> trusted(
        PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr), X509_free);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), trusted.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), 0);
    SSL_CTX_set_max_proto_version(context_.get(), newest);
    SSL_CTX_set_security_level(context_.get(), 0);  // old versions are the server's to refuse
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval bound{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), fd_);
    SSL_set1_host(tls_.get(), "localhost");
    agreed_ = SSL_connect(tls_.get()) == 1;
    ERR_clear_error();
  }
  ~TlsClient() { ::close(fd_); }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  [[nodiscard]] bool agreed() const { return agreed_; }
  bool send(std::string_view bytes) {
    return SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  void request(std::string_view path, std::string_view body = {}, std::string_view headers = {}) {
    std::string bytes = (body.empty() ? "GET " : "POST ") + std::string(path) + " HTTP/1.1\r\nHost: t\r\n" +
                        std::string(headers);
    if (!body.empty()) bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    EXPECT_TRUE(send(bytes + "\r\n" + std::string(body)));
  }
  bool wait_for(std::string_view text) {
    while (in_.find(text) == std::string::npos)
      if (!fill()) return false;
    return true;
  }
  /// Up to and with `text`.
  std::string take(std::string_view text) {
    if (!wait_for(text)) return {};
    const auto end = in_.find(text) + text.size();
    std::string taken = in_.substr(0, end);
    in_.erase(0, end);
    return taken;
  }
  /// Whether the server says that no more comes, and does not just end.
  bool ended_by_notice() {
    while (fill()) {
    }
    return (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  [[nodiscard]] std::size_t received() const { return in_.size(); }
  [[nodiscard]] std::string certificate() const {
    const std::unique_ptr<X509, void (*)(X509*)> theirs(SSL_get1_peer_certificate(tls_.get()), X509_free);
    const Memory memory(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(memory.get(), theirs.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }

 private:
  struct Free {
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
    void operator()(SSL* p) const { SSL_free(p); }
    void operator()(BIO* p) const { BIO_free_all(p); }
  };
  using Memory = std::unique_ptr<BIO, Free>;
  bool fill() {
    char piece[16384];
    const int size = SSL_read(tls_.get(), piece, sizeof piece);
    ERR_clear_error();
    if (size <= 0) return false;
    in_.append(piece, static_cast<std::size_t>(size));
    return true;
  }

  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> tls_;
  int fd_ = -1;
  bool agreed_ = false;
  std::string in_;
};

/// Routes: /echo answers the body, /big streams 3 MiB, /hold begins a stream and keeps it.
class HttpTlsTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    put(issued_);
    options.tls.certificate = (folder_ / "tls.crt").string();
    options.tls.key = (folder_ / "tls.key").string();
    options.tls.look_every = Duration::zero();
    options.on_failed_handshake = [this] { ++failed_handshakes_; };
    options.on_certificate = [this](bool taken) { ++(taken ? taken_ : not_taken_); };
    auto server = HttpServer::start(std::move(options),
                                    [this](const Request& request, std::shared_ptr<ResponseWriter> writer) {
                                      route(request, std::move(writer));
                                    });
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
  }
  void route(const Request& request, std::shared_ptr<ResponseWriter> writer) {
    if (request.path == "/echo") return writer->respond({200, "text/plain", framed(request.body), {}});
    writer->start_stream(200, "text/plain");
    if (request.path == "/big") {
      const std::string piece(64u << 10, 'x');
      for (int i = 0; i < 48 && writer->write(piece); ++i) {
      }
      return writer->finish();
    }
    writer->on_gone([this] {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      changed_.notify_all();
    });
    writer->write("first");
    const std::lock_guard lock(mutex_);
    held_ = std::move(writer);
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), until);
  }
  void put(const security::IssuedCertificate& issued) {
    ASSERT_TRUE(security::replace_file(folder_ / "tls.crt", issued.certificate));
    ASSERT_TRUE(security::replace_file(folder_ / "tls.key", issued.private_key));
  }
  std::uint16_t port() const { return server_->port(); }

  const SecretFolder folder_;
  const security::IssuedCertificate issued_ = security::issue_certificate("test", {}).value();
  std::atomic<int> failed_handshakes_{0}, taken_{0}, not_taken_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<ResponseWriter> held_;
  bool gone_ = false;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpTlsTest, KeepsAConnectionForManyRequestsAlsoPipelinedOnes) {
  start();
  TlsClient client(port(), issued_.authority);
  ASSERT_TRUE(client.agreed());
  for (int i = 0; i < 20; ++i) {
    client.request("/echo", std::to_string(i));
    EXPECT_NE(client.take(">").find(framed(std::to_string(i))), std::string::npos);
  }
  for (int i = 10; i < 40; ++i) client.request("/echo", std::to_string(i));
  for (int i = 10; i < 40; ++i)
    EXPECT_NE(client.take(">").find(framed(std::to_string(i))), std::string::npos);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpTlsTest, StreamsMuchAndTakesMuch) {
  start();
  TlsClient client(port(), issued_.authority);
  client.request("/big");
  EXPECT_TRUE(client.wait_for("\r\n0\r\n\r\n"));
  EXPECT_GE(client.received(), 3u << 20);
  TlsClient other(port(), issued_.authority);
  const std::string body(1u << 20, 'y');
  other.request("/echo", body);
  EXPECT_NE(other.take("y>").find(framed(body)), std::string::npos);
}

TEST_F(HttpTlsTest, ARequestInTheMiddleOfAStreamWaitsForItsEnd) {
  start();
  TlsClient client(port(), issued_.authority);
  client.request("/hold");
  ASSERT_TRUE(client.wait_for("first"));
  ASSERT_TRUE(wait([&] { return held_ != nullptr; }));
  client.request("/echo", "later");
  held_->write("second");
  held_->finish();
  EXPECT_FALSE(client.take("second\r\n0\r\n\r\n").empty());
  EXPECT_FALSE(client.take("<later>").empty());
}

TEST_F(HttpTlsTest, AClientThatLeavesIsSeen) {
  start();
  {
    TlsClient client(port(), issued_.authority);
    client.request("/hold");
    ASSERT_TRUE(client.wait_for("first"));
  }
  EXPECT_TRUE(wait([&] { return gone_; }));
}

TEST_F(HttpTlsTest, TheEndOfTheLastAnswerIsSaid) {
  start();
  TlsClient client(port(), issued_.authority);
  client.request("/echo", "x", "Connection: close\r\n");
  EXPECT_FALSE(client.take("<x>").empty());
  EXPECT_TRUE(client.ended_by_notice());
}

TEST_F(HttpTlsTest, PlainHttpIsToldWhatIsSpokenHere) {
  start();
  HttpClient client(port());
  client.request("GET", "/echo");
  const Answer answer = client.read();
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("https_required"), std::string::npos);
  EXPECT_TRUE(client.closed_by_peer());
  TlsClient other(port(), issued_.authority);
  other.request("/echo", "x");
  EXPECT_FALSE(other.take("<x>").empty());
}

TEST_F(HttpTlsTest, AClientOfAnotherAuthorityRefusesAndIsCounted) {
  start();
  const auto other = security::issue_certificate("test", {}).value();
  EXPECT_FALSE(TlsClient(port(), other.authority).agreed());
  for (int i = 0; i < 1000 && failed_handshakes_ == 0; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(failed_handshakes_, 1);
}

TEST_F(HttpTlsTest, VersionsBefore12AreRefused) {
  start();
  EXPECT_FALSE(TlsClient(port(), issued_.authority, TLS1_1_VERSION).agreed());
  EXPECT_TRUE(TlsClient(port(), issued_.authority, TLS1_2_VERSION).agreed());
}

TEST_F(HttpTlsTest, AHandshakeThatStopsHalfwayEnds) {
  HttpOptions options;
  options.read_timeout = milliseconds(100);
  start(std::move(options));
  HttpClient client(port());
  client.send("\x16\x03\x01");
  EXPECT_TRUE(client.closed_by_peer());
  for (int i = 0; i < 1000 && server_->connections() != 0; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpTlsTest, AChangedCertificateIsForNewConnectionsAndOldOnesGoOn) {
  start();
  TlsClient before(port(), issued_.authority);
  ASSERT_TRUE(before.agreed());
  EXPECT_EQ(before.certificate(), issued_.certificate);
  const auto next = security::issue_certificate("test", {}).value();
  put(next);
  TlsClient after(port(), next.authority);
  ASSERT_TRUE(after.agreed());
  EXPECT_EQ(after.certificate(), next.certificate);
  before.request("/echo", "old");
  EXPECT_FALSE(before.take("<old>").empty());
  EXPECT_EQ(taken_, 1);
}

TEST_F(HttpTlsTest, ABrokenChangeKeepsTheCertificateBefore) {
  start();
  const auto next = security::issue_certificate("test", {}).value();
  ASSERT_TRUE(security::replace_file(folder_ / "tls.crt", next.certificate));  // its key comes later
  EXPECT_TRUE(TlsClient(port(), issued_.authority).agreed());
  EXPECT_EQ(not_taken_, 1);
  EXPECT_TRUE(TlsClient(port(), issued_.authority).agreed());
  EXPECT_EQ(not_taken_, 1) << "the same files are not tried over and over";
  ASSERT_TRUE(security::replace_file(folder_ / "tls.key", next.private_key));
  EXPECT_TRUE(TlsClient(port(), next.authority).agreed());
  EXPECT_EQ(taken_, 1);
}

TEST(HttpCertificate, SaysWhatIsWrongWithItsFiles) {
  const SecretFolder folder;
  const auto one = security::issue_certificate("test", {}).value(),
             other = security::issue_certificate("test", {}).value();
  const gateway::HttpTls files{(folder / "tls.crt").string(), (folder / "tls.key").string()};
  const auto error = [&] {
    const auto opened = gateway::HttpCertificate::open(files, {});
    return opened ? Error{Errc::internal, "it was taken"} : opened.error();
  };
  EXPECT_EQ(error().code, Errc::file_not_found);
  ASSERT_TRUE(security::replace_file(files.certificate, one.certificate));
  ASSERT_TRUE(security::replace_file(files.key, other.private_key));
  EXPECT_EQ(error().code, Errc::file_malformed);
  EXPECT_NE(error().detail.find("http.tls.key"), std::string::npos) << "they do not belong together";
  ASSERT_TRUE(security::replace_file(files.key, "nonsense"));
  EXPECT_EQ(error().code, Errc::file_malformed);
  ASSERT_TRUE(security::replace_file(files.key, one.private_key));
  ASSERT_TRUE(gateway::HttpCertificate::open(files, {}));
  std::filesystem::permissions(files.key, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(error().code, Errc::config_invalid);
  EXPECT_EQ(gateway::HttpCertificate::open({files.certificate, ""}, {}).error().code, Errc::config_invalid);
}

}  // namespace
}  // namespace troupe::test
