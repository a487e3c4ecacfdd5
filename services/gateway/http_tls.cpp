#include "services/gateway/http_tls.hpp"

#include <string>
#include <utility>

#include "common/base/log.hpp"
#include "common/security/key_files.hpp"

namespace troupe::gateway {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

Expected<std::shared_ptr<ssl::context>> load(const HttpTls& files) {
  const auto certificate = security::read_public_file(files.certificate);
  if (!certificate) return tl::unexpected<Error>(certificate.error());
  auto key = security::read_secret_file(files.key);
  if (!key) return tl::unexpected<Error>(key.error());
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  error_code ec;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                           ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::no_compression |
                           SSL_OP_NO_RENEGOTIATION,
                       ec);
  // A key with a passphrase is an error and no question at a terminal.
  if (!ec)
    context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                   ec);
  if (!ec) context->use_certificate_chain(boost::asio::buffer(*certificate), ec);
  if (ec)
    return fail(Errc::file_malformed, "http.tls.certificate: " + files.certificate + ": " + ec.message());
  context->use_private_key(boost::asio::buffer(*key), ssl::context::pem, ec);
  ::explicit_bzero(key->data(), key->size());
  if (ec) return fail(Errc::file_malformed, "http.tls.key: " + files.key + ": " + ec.message());
  return context;
}

}  // namespace

Expected<std::unique_ptr<HttpCertificate>> HttpCertificate::open(HttpTls files,
                                                                 std::function<void(bool)> on_reload) {
  if (files.key.empty()) return fail(Errc::config_invalid, "http.tls.certificate needs http.tls.key");
  std::unique_ptr<HttpCertificate> made(new HttpCertificate(std::move(files), std::move(on_reload)));
  made->seen_ = made->look();
  auto context = load(made->files_);
  if (!context) return tl::unexpected<Error>(std::move(context.error()));
  made->context_ = std::move(*context);
  return made;
}

std::shared_ptr<ssl::context> HttpCertificate::current(TimePoint now) {
  if (now >= next_look_) {
    next_look_ = now + files_.look_every;
    if (const auto now_there = look(); now_there != seen_) {
      seen_ = now_there;  // what cannot be read is said once, and looked at again when it changes
      reload();
    }
  }
  return context_;
}

void HttpCertificate::reload() {
  auto context = load(files_);
  if (context) {
    context_ = std::move(*context);
    log::info("http certificate changed", {{"file", files_.certificate}});
  } else {
    log::warn("http certificate not taken, the one before stays", {{"error", to_string(context.error())}});
  }
  if (on_reload_) on_reload_(context.has_value());
}

std::array<FileStamp, 2> HttpCertificate::look() const {
  return {stamp_of(files_.certificate), stamp_of(files_.key)};
}

}  // namespace troupe::gateway
