#include "services/gateway/owner.hpp"

#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <string>

namespace troupe::gateway {
namespace {

/// The first half of SHA-256.
RequestId digest(const std::string& text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
  RequestId id;
  std::memcpy(&id.high, hash.data(), sizeof id.high);
  std::memcpy(&id.low, hash.data() + sizeof id.high, sizeof id.low);
  return id;
}

}  // namespace

RequestId owner_of(std::string_view authorization) {
  return digest("troupe owner\n" + std::string(authorization));
}

std::string tenant_of(std::string_view authorization) {
  return authorization.empty() ? "default" : "key-" + to_hex(owner_of(authorization)).substr(0, 16);
}

RequestId scoped_key(const RequestId& owner, std::string_view key) {
  return digest("troupe key\n" + to_hex(owner) + "\n" + std::string(key));
}

}  // namespace troupe::gateway
