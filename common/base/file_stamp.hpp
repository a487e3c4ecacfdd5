#pragma once
// Which file lies under a name: told apart when it is replaced or changed.
#include <array>
#include <cstdint>
#include <string>

namespace troupe {

/// A replaced file has another inode or time, as has what a changed link leads to.
struct FileStamp {
  std::array<std::int64_t, 5> values{};  ///< all 0: there is none
  bool operator==(const FileStamp&) const = default;
};

[[nodiscard]] FileStamp stamp_of(const std::string& path);

}  // namespace troupe
