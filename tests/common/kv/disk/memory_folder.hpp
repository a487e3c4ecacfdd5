#pragma once
// A disk in memory that can be full, refuse, and be held up. Its files outlive the folders that show them, as
// files outlive a process.
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

#include "common/kv/disk/files.hpp"
#include "common/kv/disk/record.hpp"

namespace troupe::kv::disk {

/// Threads: any.
struct MemoryDisk {
  using Bytes = std::vector<std::byte>;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::shared_ptr<Bytes>> files;
  std::uint64_t room = UINT64_MAX;  ///< bytes that all files may have
  bool refuses_create = false, refuses_read = false, refuses_sync = false, refuses_remove = false;
  bool holds_reads = false;  ///< they wait until release_reads()
  int syncs = 0;

  std::uint64_t used() {
    std::uint64_t sum = 0;
    for (const auto& [name, bytes] : files) sum += bytes->size();
    return sum;
  }
  void release_reads() {
    const std::lock_guard lock(mutex);
    holds_reads = false;
    changed.notify_all();
  }
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<MemoryDisk> disk, std::shared_ptr<MemoryDisk::Bytes> bytes)
      : disk_(std::move(disk)), bytes_(std::move(bytes)) {}

  Expected<void> read(std::uint64_t offset, std::span<std::byte> to) const override {
    std::unique_lock lock(disk_->mutex);
    disk_->changed.wait(lock, [&] { return !disk_->holds_reads; });
    if (disk_->refuses_read) return fail(Errc::io_failed, "injected");
    if (offset > bytes_->size() || to.size() > bytes_->size() - offset)
      return fail(Errc::io_failed, "the end");
    std::copy_n(bytes_->begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
    return {};
  }
  /// As much as there is room for, then "no space left".
  Expected<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(disk_->mutex);
    const std::uint64_t others = disk_->used() - bytes_->size();
    const std::uint64_t most = disk_->room > others ? disk_->room - others : 0;
    const std::uint64_t end = std::min<std::uint64_t>(offset + bytes.size(), most);
    if (bytes_->size() < end) bytes_->resize(end);
    if (end > offset)
      std::copy_n(bytes.begin(), end - offset, bytes_->begin() + static_cast<std::ptrdiff_t>(offset));
    if (end < offset + bytes.size()) return fail(Errc::io_failed, "no space left");
    return {};
  }
  Expected<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock(disk_->mutex);
    bytes_->resize(size);
    return {};
  }
  Expected<void> sync() override {
    const std::lock_guard lock(disk_->mutex);
    if (disk_->refuses_sync) return fail(Errc::io_failed, "injected");
    ++disk_->syncs;
    return {};
  }
  Expected<std::uint64_t> size() const override {
    const std::lock_guard lock(disk_->mutex);
    return bytes_->size();
  }

 private:
  std::shared_ptr<MemoryDisk> disk_;
  std::shared_ptr<MemoryDisk::Bytes> bytes_;
};

class MemoryFolder final : public Folder {
 public:
  explicit MemoryFolder(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

  Expected<std::vector<std::string>> list() const override {
    const std::lock_guard lock(disk_->mutex);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : disk_->files) names.push_back(name);
    return names;
  }
  Expected<std::unique_ptr<File>> open(const std::string& name) override {
    const std::lock_guard lock(disk_->mutex);
    const auto found = disk_->files.find(name);
    if (found == disk_->files.end()) return fail(Errc::io_failed, "no such file");
    return std::make_unique<MemoryFile>(disk_, found->second);
  }
  Expected<std::unique_ptr<File>> create(const std::string& name) override {
    const std::lock_guard lock(disk_->mutex);
    if (disk_->refuses_create) return fail(Errc::io_failed, "permission denied");
    const auto [at, fresh] = disk_->files.emplace(name, std::make_shared<MemoryDisk::Bytes>());
    if (!fresh) return fail(Errc::io_failed, "it exists");
    return std::make_unique<MemoryFile>(disk_, at->second);
  }
  Expected<void> remove(const std::string& name) override {
    const std::lock_guard lock(disk_->mutex);
    if (disk_->refuses_remove || disk_->files.erase(name) == 0) return fail(Errc::io_failed, "not removed");
    return {};
  }

 private:
  std::shared_ptr<MemoryDisk> disk_;
};

inline const SegmentFormat kFormat{{3, 4}, 1000};

/// A page that `number` names, as if it followed page number - 1.
inline PageIdentity page_of(std::uint64_t number) {
  PageIdentity page;
  for (std::uint32_t block = 0; block < kBlocksPerPage; ++block) page.keys[block] = {number, block + 1};
  if (number > 0) page.parent = BlockKey{number - 1, kBlocksPerPage};
  for (std::size_t i = 0; i < page.tokens.size(); ++i)
    page.tokens[i] = static_cast<TokenId>(number * 100 + i);
  return page;
}
inline std::vector<std::byte> kv_of(std::uint64_t number, const SegmentFormat& format = kFormat) {
  std::vector<std::byte> kv(format.page_bytes);
  for (std::size_t i = 0; i < kv.size(); ++i) kv[i] = static_cast<std::byte>(number * 31 + i * 7 + i / 256);
  return kv;
}

}  // namespace troupe::kv::disk
