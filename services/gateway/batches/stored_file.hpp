#pragma once
// Files that are whole or not there, and the lock of the folder they are in.
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/error.hpp"

namespace troupe::gateway {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

/// A folder that one process has; freed by its end, whatever ends it.
class FolderLock {
 public:
  /// Errors: io_failed, which says so where another has it.
  [[nodiscard]] static Expected<FolderLock> take(const std::filesystem::path& folder);

 private:
  explicit FolderLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

/// Writes a file under a passing name; keep() gives it its own. Otherwise it goes with the writer.
class FileWriter {
 public:
  /// Errors: io_failed.
  [[nodiscard]] static Expected<FileWriter> create(const std::filesystem::path& folder);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  [[nodiscard]] Expected<void> write(std::string_view bytes);
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  /// All of it is on the disk, under `name` in the same folder.
  [[nodiscard]] Expected<void> keep(const std::string& name);

 private:
  FileWriter(Descriptor file, std::filesystem::path path) : file_(std::move(file)), path_(std::move(path)) {}
  [[nodiscard]] Expected<void> flush();

  Descriptor file_;
  std::filesystem::path path_;  // empty: it was kept, or moved away
  std::string waiting_;         // small pieces become large writes
  std::int64_t bytes_ = 0;
};

/// Reads a file by places.
class FileReader {
 public:
  /// Errors: file_not_found.
  [[nodiscard]] static Expected<FileReader> open(const std::filesystem::path& path);
  /// Up to `length` bytes from `start` on; fewer at the end. Errors: io_failed.
  [[nodiscard]] Expected<std::string> read(std::int64_t start, std::size_t length) const;

 private:
  explicit FileReader(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace troupe::gateway
