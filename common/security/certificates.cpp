#include "common/security/certificates.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <span>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace troupe::security {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* held) const {
    Free(held);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

constexpr int kDays = 3650;           ///< renewed by a rotation, not by a date that somebody forgets
constexpr long kClockSkew = 60 * 60;  ///< machines of a cluster need not agree on the second
constexpr int kSerialBits = 127;

std::string hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 15U]);
  }
  return text;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

/// "DNS:localhost,IP:127.0.0.1". OpenSSL reads commas and colons in it, so only what a name can hold may come
/// in.
Expected<std::string> alternative_names(const std::vector<std::string>& hosts) {
  std::string text = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& host : hosts) {
    const bool address = is_address(host);
    const auto fits = [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '*';
    };
    if (!address && (host.empty() || host.size() > 253 || !std::all_of(host.begin(), host.end(), fits)))
      return fail(Errc::config_invalid, "\"" + host + "\" is neither a host name nor an address");
    text.append(address ? ",IP:" : ",DNS:").append(host);
  }
  return text;
}

Key make_key() {
  return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
}

bool add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const Extension made(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return made && X509_add_ext(to, made.get(), -1) == 1;
}

bool set_name(X509* to, std::string_view name) {
  const std::string text(name);
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(to), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

/// Version 3 (counted from 0), a random serial number, valid from an hour ago.
Certificate blank(EVP_PKEY* key, std::string_view name) {
  Certificate made(X509_new());
  const Number serial(BN_new());
  const bool good = made && serial && X509_set_version(made.get(), 2) == 1 &&
                    BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                    BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr &&
                    X509_gmtime_adj(X509_getm_notBefore(made.get()), -kClockSkew) != nullptr &&
                    X509_time_adj_ex(X509_getm_notAfter(made.get()), kDays, 0, nullptr) != nullptr &&
                    X509_set_pubkey(made.get(), key) == 1 && set_name(made.get(), name);
  if (!good) made.reset();
  return made;
}

Certificate make_authority(EVP_PKEY* key, std::string_view name) {
  Certificate made = blank(key, std::string(name) + " authority");
  if (!made) return made;
  X509* const raw = made.get();
  const bool good = X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
                    add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add_extension(raw, raw, NID_subject_key_identifier, "hash") &&
                    X509_sign(raw, key, EVP_sha256()) > 0;
  if (!good) made.reset();
  return made;
}

Certificate make_member(EVP_PKEY* key, std::string_view name, const std::string& hosts, X509* authority,
                        EVP_PKEY* authority_key) {
  Certificate made = blank(key, name);
  if (!made) return made;
  X509* const raw = made.get();
  const bool good = X509_set_issuer_name(raw, X509_get_subject_name(authority)) == 1 &&
                    add_extension(raw, authority, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(raw, authority, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(raw, authority, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    add_extension(raw, authority, NID_subject_key_identifier, "hash") &&
                    add_extension(raw, authority, NID_authority_key_identifier, "keyid:always") &&
                    add_extension(raw, authority, NID_subject_alt_name, hosts) &&
                    X509_sign(raw, authority_key, EVP_sha256()) > 0;
  if (!good) made.reset();
  return made;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
  const Memory memory(BIO_new(BIO_s_mem()));
  return memory && PEM_write_bio_X509(memory.get(), certificate) == 1 ? text_of(memory.get()) : std::string();
}

std::string pem(EVP_PKEY* key) {
  const Memory memory(BIO_new(BIO_s_secmem()));
  const bool good =
      memory && PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return good ? text_of(memory.get()) : std::string();
}

tl::unexpected<Error> failed() {
  const char* const reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return fail(Errc::internal,
              std::string("cannot make a certificate: ") + (reason == nullptr ? "no reason given" : reason));
}

}  // namespace

Expected<IssuedCertificate> issue_certificate(std::string_view name, const std::vector<std::string>& hosts) {
  const auto names = alternative_names(hosts);
  if (!names) return tl::unexpected<Error>(names.error());
  const Key authority_key = make_key();
  const Key key = make_key();
  if (!authority_key || !key) return failed();
  const Certificate authority = make_authority(authority_key.get(), name);
  if (!authority) return failed();
  const Certificate member = make_member(key.get(), name, *names, authority.get(), authority_key.get());
  if (!member) return failed();
  IssuedCertificate issued{pem(authority.get()), pem(member.get()), pem(key.get())};
  if (issued.authority.empty() || issued.certificate.empty() || issued.private_key.empty()) return failed();
  return issued;
}

Expected<CertificateFacts> certificate_facts(std::string_view pem_text) {
  const Memory memory(BIO_new_mem_buf(pem_text.data(), static_cast<int>(pem_text.size())));
  const Certificate read(memory ? PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  if (!read) return fail(Errc::file_malformed, "found no certificate in PEM");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const Memory time(BIO_new(BIO_s_mem()));
  if (!time || X509_digest(read.get(), EVP_sha256(), digest.data(), &size) != 1 ||
      ASN1_TIME_print(time.get(), X509_get0_notAfter(read.get())) != 1)
    return fail(Errc::file_malformed, "a certificate cannot be read");
  return CertificateFacts{hex(std::span(digest).first(size)), text_of(time.get())};
}

std::string fingerprint(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  TROUPE_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1,
               "no SHA-256");
  return hex(std::span(digest).first(size));
}

}  // namespace troupe::security
