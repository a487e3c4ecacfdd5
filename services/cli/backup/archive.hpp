#pragma once
// A few small files as one, in the POSIX tar format, so that `tar tf` shows and `tar xf` takes apart what
// Troupe wrote.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::cli {

struct ArchiveFile {
  std::string name;  ///< 1 to 99 characters, relative
  std::string content;
  bool operator==(const ArchiveFile&) const = default;
};

inline constexpr std::size_t kLargestArchive = 64U << 20;
inline constexpr std::size_t kMostArchiveFiles = 4096;

/// The same bytes for the same files: times and owners are not in it.
[[nodiscard]] std::string write_archive(std::span<const ArchiveFile> files);
/// What write_archive() wrote, byte for byte, and nothing else. Errors: file_malformed.
[[nodiscard]] Expected<std::vector<ArchiveFile>> read_archive(std::string_view bytes);

}  // namespace troupe::cli
