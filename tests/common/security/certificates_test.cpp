#include "common/security/certificates.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

namespace troupe::security {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* held) const {
    Free(held);
  }
};
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

Certificate parse(const std::string& pem) {
  const std::unique_ptr<BIO, Deleter<BIO_free_all>> memory(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
}

/// Whether a TLS client that trusts `authority` takes `certificate` from a server.
bool trusted(X509* authority, X509* certificate) {
  const std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_add_cert(store.get(), authority);
  X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  return X509_verify_cert(context.get()) == 1;
}

TEST(Certificates, AMembersCertificateIsTrustedByItsOwnAuthorityAlone) {
  const auto first = issue_certificate("troupe", {}), second = issue_certificate("troupe", {});
  ASSERT_TRUE(first && second);
  const Certificate authority = parse(first->authority), other = parse(second->authority),
                    member = parse(first->certificate);
  ASSERT_TRUE(authority && other && member);
  EXPECT_TRUE(trusted(authority.get(), member.get()));
  EXPECT_FALSE(trusted(other.get(), member.get()));
  EXPECT_FALSE(trusted(member.get(), parse(second->certificate).get())) << "a member is no authority";
}

TEST(Certificates, TheyAreForTheHostsThatWereNamedAndForThisOne) {
  const auto issued = issue_certificate("troupe", {"node-1.example", "10.0.0.7"});
  ASSERT_TRUE(issued);
  const Certificate member = parse(issued->certificate);
  for (const char* host : {"node-1.example", "localhost"})
    EXPECT_EQ(X509_check_host(member.get(), host, 0, 0, nullptr), 1) << host;
  for (const char* address : {"10.0.0.7", "127.0.0.1", "::1"})
    EXPECT_EQ(X509_check_ip_asc(member.get(), address, 0), 1) << address;
  EXPECT_EQ(X509_check_host(member.get(), "node-2.example", 0, 0, nullptr), 0);
}

TEST(Certificates, WhatIsNoHostNameIsRefused) {
  for (const char* host : {"", "a,DNS:evil.example", "a b", "x:y"})
    EXPECT_EQ(issue_certificate("troupe", {host}).error().code, Errc::config_invalid) << host;
}

TEST(Certificates, TheirFactsAreThoseOfTheCertificate) {
  const auto issued = issue_certificate("troupe", {});
  const auto facts = certificate_facts(issued->certificate);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->fingerprint.size(), 64u);
  EXPECT_NE(facts->fingerprint, certificate_facts(issued->authority)->fingerprint);
  EXPECT_NE(facts->expires.find("GMT"), std::string::npos);
  EXPECT_EQ(certificate_facts(issued->private_key).error().code, Errc::file_malformed);
  EXPECT_EQ(certificate_facts("").error().code, Errc::file_malformed);
}

TEST(Certificates, AFingerprintIsSha256) {
  EXPECT_EQ(fingerprint("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace troupe::security
