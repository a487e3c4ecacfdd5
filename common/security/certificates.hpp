#pragma once
// X.509 certificates of a cluster (OpenSSL wall). Keys are P-256, signatures ECDSA with SHA-256.
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::security {

/// PEM texts of an authority and of the one certificate it has signed. The authority's own key is never kept,
/// so that nobody can make further members with it: who is to be one gets these files.
struct IssuedCertificate {
  std::string authority, certificate, private_key;
};

/// `name` is what both are called, `hosts` are the DNS names and addresses that the certificate is for,
/// besides localhost. It serves at either end of a connection. Errors: config_invalid (a host that is no
/// name), internal.
[[nodiscard]] Expected<IssuedCertificate> issue_certificate(std::string_view name,
                                                            const std::vector<std::string>& hosts);

struct CertificateFacts {
  std::string fingerprint;  ///< SHA-256 of the certificate, hex
  std::string expires;      ///< "Nov 26 23:00:00 2036 GMT"
};

/// Of the first certificate of a PEM text. Errors: file_malformed.
[[nodiscard]] Expected<CertificateFacts> certificate_facts(std::string_view pem);

/// SHA-256, hex.
[[nodiscard]] std::string fingerprint(std::string_view bytes);

}  // namespace troupe::security
