#include "services/cli/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

namespace troupe::cli {

struct Sha256::Impl {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  TROUPE_CHECK(impl_->context && EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1,
               "no SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  TROUPE_CHECK(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256 update");
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  TROUPE_CHECK(EVP_DigestFinal_ex(impl_->context.get(), digest.data(), &size) == 1, "SHA-256 end");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex.push_back(kDigits[digest[i] >> 4U]);
    hex.push_back(kDigits[digest[i] & 15U]);
  }
  return hex;
}

Expected<std::string> sha256_of_file(const std::filesystem::path& path,
                                     const std::function<void(std::uint64_t)>& progress) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Errc::file_not_found, path.string() + ": cannot be opened");
  Sha256 sha;
  std::vector<char> block(1U << 20);
  std::uint64_t done = 0;
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    const auto count = static_cast<std::size_t>(file.gcount());
    sha.update(std::as_bytes(std::span(block).first(count)));
    done += count;
    if (progress) progress(done);
  }
  if (file.bad()) return fail(Errc::io_failed, path.string() + ": cannot be read");
  return sha.finish();
}

}  // namespace troupe::cli
