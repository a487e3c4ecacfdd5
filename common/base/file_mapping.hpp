#pragma once
// A file's bytes as memory.
#include <cstddef>
#include <filesystem>
#include <span>

#include "common/base/error.hpp"

namespace troupe {

/// A read-only mapping of a whole file. Model files are replaced by rename, never rewritten in place: one
/// that shrinks while it is mapped raises SIGBUS, as with every reader that maps. Threads: any, once it is
/// mapped.
class FileMapping {
 public:
  FileMapping() = default;
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  /// Once. An empty file has no bytes. Errors: file_not_found, file_malformed (a folder or device),
  /// io_failed.
  [[nodiscard]] Expected<void> map(const std::filesystem::path& path);
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(at_), size_};
  }

 private:
  Expected<void> map_descriptor(int descriptor, const std::filesystem::path& path);

  void* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace troupe
