#pragma once
// The few file operations the disk tier needs, as an interface, so that tests can fail any of them: a full
// disk, a page that cannot be read, a crash between two writes.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::kv::disk {

/// An open file. Errors: io_failed with the operating system's reason. Threads: one at a time.
class File {
 public:
  virtual ~File() = default;
  /// Fills `to` from `offset` on. Errors: also when the file ends before.
  [[nodiscard]] virtual Expected<void> read(std::uint64_t offset, std::span<std::byte> to) const = 0;
  /// All of `bytes`, or an error and any part of them.
  [[nodiscard]] virtual Expected<void> write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Expected<void> truncate(std::uint64_t size) = 0;
  /// What was written is on the device when this returns.
  [[nodiscard]] virtual Expected<void> sync() = 0;
  [[nodiscard]] virtual Expected<std::uint64_t> size() const = 0;
};

/// One folder that this process has to itself. Errors: io_failed. Threads: one at a time.
class Folder {
 public:
  virtual ~Folder() = default;
  /// Names of its files, in no order.
  [[nodiscard]] virtual Expected<std::vector<std::string>> list() const = 0;
  /// An existing file, for reading and writing.
  [[nodiscard]] virtual Expected<std::unique_ptr<File>> open(const std::string& name) = 0;
  /// A new file; there must be none of this name.
  [[nodiscard]] virtual Expected<std::unique_ptr<File>> create(const std::string& name) = 0;
  [[nodiscard]] virtual Expected<void> remove(const std::string& name) = 0;
};

/// Of `parent`/0, /1, ... the fullest that no other process has locked, else a new one: workers of one machine
/// may be given one place and never share a file. The lock ends with the folder, or the process.
/// Errors: io_failed; address_in_use when kMostFolders are locked.
[[nodiscard]] Expected<std::unique_ptr<Folder>> lock_folder(const std::string& parent);
inline constexpr int kMostFolders = 64;

}  // namespace troupe::kv::disk
