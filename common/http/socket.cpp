#include "common/http/socket.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace troupe {
namespace {

bool would_wait(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

Moved failed(std::string why) {
  return {Moved::State::failed, 0, std::move(why)};
}

/// What OpenSSL's queue of errors says last, and nothing stays in it.
std::string take_errors() {
  std::string text = "TLS failed";
  std::array<char, 256> line{};
  for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
    ERR_error_string_n(code, line.data(), line.size());
    text = line.data();
  }
  return text;
}

// OpenSSL's own sockets raise SIGPIPE when the peer is gone; these do not.
int bio_write(BIO* bio, const char* data, int size) {
  const int fd = static_cast<int>(BIO_get_fd(bio, nullptr));
  const ssize_t sent = ::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (sent < 0 && would_wait(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

const BIO_METHOD* quiet_sockets() {
  static const std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> kMethod = [] {
    std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> made(BIO_meth_new(BIO_TYPE_SOCKET, "socket"),
                                                            BIO_meth_free);
    const BIO_METHOD* sockets = BIO_s_socket();
    TROUPE_CHECK(made != nullptr, "no BIO method");
    BIO_meth_set_write(made.get(), bio_write);
    BIO_meth_set_read(made.get(), BIO_meth_get_read(sockets));
    BIO_meth_set_ctrl(made.get(), BIO_meth_get_ctrl(sockets));
    BIO_meth_set_create(made.get(), BIO_meth_get_create(sockets));
    BIO_meth_set_destroy(made.get(), BIO_meth_get_destroy(sockets));
    return made;
  }();
  return kMethod.get();
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace

struct TlsTrust::Impl {
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
};

TlsTrust::TlsTrust() : impl_(std::make_unique<Impl>()) {}
TlsTrust::~TlsTrust() = default;

Expected<std::shared_ptr<const TlsTrust>> TlsTrust::load(const std::string& authorities) {
  std::shared_ptr<TlsTrust> trust(new TlsTrust);
  SSL_CTX* context = trust->impl_->context.get();
  TROUPE_CHECK(context != nullptr, "no TLS context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (authorities.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return std::shared_ptr<const TlsTrust>(std::move(trust));
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(authorities, error))
    return fail(Errc::file_not_found, authorities + ": cannot be opened");
  if (SSL_CTX_load_verify_file(context, authorities.c_str()) != 1) {
    (void)take_errors();
    return fail(Errc::file_malformed, authorities + " holds no certificate in PEM");
  }
  return std::shared_ptr<const TlsTrust>(std::move(trust));
}

struct HttpSocket::Session {
  Session(int fd, std::shared_ptr<const TlsTrust> with, const std::string& host)
      : trust(std::move(with)), tls(SSL_new(trust->impl_->context.get()), SSL_free) {
    BIO* bio = BIO_new(quiet_sockets());
    TROUPE_CHECK(tls != nullptr && bio != nullptr, "no TLS session");
    BIO_set_fd(bio, fd, BIO_NOCLOSE);
    SSL_set_bio(tls.get(), bio, bio);
    SSL_set_connect_state(tls.get());
    if (is_address(host)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls.get()), host.c_str());
    } else {
      SSL_set1_host(tls.get(), host.c_str());
      SSL_set_tlsext_host_name(tls.get(), host.c_str());
    }
  }
  /// After a call that moved nothing.
  [[nodiscard]] Moved state_of(int result) {
    switch (SSL_get_error(tls.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return {Moved::State::wants_read};
      case SSL_ERROR_WANT_WRITE:
        return {Moved::State::wants_write};
      case SSL_ERROR_ZERO_RETURN:
        return {Moved::State::closed};
      default:
        break;
    }
    const long verified = SSL_get_verify_result(tls.get());
    const std::string why = take_errors();
    if (verified != X509_V_OK)
      return failed(std::string("its certificate is not believed: ") +
                    X509_verify_cert_error_string(verified));
    return failed(why);
  }

  std::shared_ptr<const TlsTrust> trust;  // shared: sessions use its context
  std::unique_ptr<SSL, void (*)(SSL*)> tls;
};

HttpSocket::HttpSocket() = default;
HttpSocket::HttpSocket(int fd, std::shared_ptr<const TlsTrust> trust, const std::string& host) : fd_(fd) {
  if (trust) session_ = std::make_unique<Session>(fd, std::move(trust), host);
}
HttpSocket::HttpSocket(HttpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), session_(std::move(other.session_)) {}
HttpSocket& HttpSocket::operator=(HttpSocket&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  session_ = std::move(other.session_);
  return *this;
}
HttpSocket::~HttpSocket() {
  close();
}

void HttpSocket::close() {
  session_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool HttpSocket::holds_bytes() const {
  return session_ && SSL_pending(session_->tls.get()) > 0;
}

Moved HttpSocket::send(std::string_view bytes) {
  if (session_) {
    std::size_t done = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(session_->tls.get(), bytes.data(), bytes.size(), &done);
    return result == 1 ? Moved{Moved::State::moved, done} : session_->state_of(result);
  }
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return {Moved::State::moved, static_cast<std::size_t>(sent)};
  return would_wait(errno) ? Moved{Moved::State::wants_write}
                           : failed(std::string("send: ") + std::strerror(errno));
}

Moved HttpSocket::receive(std::span<char> into) {
  if (session_) {
    std::size_t done = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(session_->tls.get(), into.data(), into.size(), &done);
    return result == 1 ? Moved{Moved::State::moved, done} : session_->state_of(result);
  }
  const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
  if (got > 0) return {Moved::State::moved, static_cast<std::size_t>(got)};
  if (got == 0) return {Moved::State::closed};
  return would_wait(errno) ? Moved{Moved::State::wants_read}
                           : failed(std::string("recv: ") + std::strerror(errno));
}

}  // namespace troupe
