#pragma once
// Files that hold secrets: made for their owner alone, and not read when others could have.
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe::security {

inline constexpr std::size_t kLargestKeyFile = 64U << 10;

/// The whole text. It must belong to this user and be closed to everyone else (0600), or belong to root and
/// be readable by a group of this process at most (0640), as secrets are mounted into containers. Errors:
/// file_not_found, file_malformed (over `largest` bytes), config_invalid (others can read or change it, with
/// the command that mends it).
[[nodiscard]] Expected<std::string> read_secret_file(const std::filesystem::path& path,
                                                     std::size_t largest = kLargestKeyFile);
/// The whole text of a file that is no secret. Errors: file_not_found, file_malformed (over 64 KiB).
[[nodiscard]] Expected<std::string> read_public_file(const std::filesystem::path& path);
/// A folder of secrets: of this user and closed to all others, or of root (a mount, whose files are looked at
/// one by one). Errors: file_not_found, config_invalid.
[[nodiscard]] Expected<void> check_secret_folder(const std::filesystem::path& folder);

/// 0700. No-op where it is one already. Errors: io_failed.
[[nodiscard]] Expected<void> make_secret_folder(const std::filesystem::path& folder);
/// A new file, 0600, on the disk when this returns. Errors: io_failed (also where there is one).
[[nodiscard]] Expected<void> write_new_file(const std::filesystem::path& path, std::string_view text);
/// The same in place of another one: readers see the old text or the new one. Errors: io_failed.
[[nodiscard]] Expected<void> replace_file(const std::filesystem::path& path, std::string_view text);

}  // namespace troupe::security
