#pragma once
// SHA-256 of files (OpenSSL libcrypto wall).
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/base/error.hpp"

namespace troupe::cli {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits; once.
  [[nodiscard]] std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Streams the file; `progress` gets the bytes done so far. Errors: file_not_found, io_failed.
[[nodiscard]] Expected<std::string> sha256_of_file(const std::filesystem::path& path,
                                                   const std::function<void(std::uint64_t)>& progress = {});

}  // namespace troupe::cli
