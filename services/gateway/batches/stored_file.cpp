#include "services/gateway/batches/stored_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/base/ids.hpp"

namespace troupe::gateway {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWriteBytes = 256U << 10;

tl::unexpected<Error> failed(const fs::path& path, Errc code = Errc::io_failed) {
  return fail(code, path.string() + ": " + std::strerror(errno));
}

/// A name in a folder outlives a power cut once the folder is on the disk.
Expected<void> sync_folder(const fs::path& folder) {
  const Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0) return failed(folder);
  return {};
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

Expected<FolderLock> FolderLock::take(const fs::path& folder) {
  const fs::path path = folder / "lock";
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed(path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return FolderLock(std::move(file));
  if (errno != EWOULDBLOCK) return failed(path);
  return fail(Errc::io_failed, folder.string() + " is another gateway's: one gateway has it at a time");
}

Expected<FileWriter> FileWriter::create(const fs::path& folder) {
  fs::path path = folder / ("new-" + to_hex(random_id<RequestId>()));
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed(path);
  return FileWriter(std::move(file), std::move(path));
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : file_(std::move(other.file_)),
      path_(std::exchange(other.path_, {})),
      waiting_(std::move(other.waiting_)),
      bytes_(other.bytes_) {}

FileWriter::~FileWriter() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Expected<void> FileWriter::write(std::string_view bytes) {
  waiting_ += bytes;
  bytes_ += static_cast<std::int64_t>(bytes.size());
  return waiting_.size() < kWriteBytes ? Expected<void>() : flush();
}

Expected<void> FileWriter::flush() {
  std::string_view left = waiting_;
  while (!left.empty()) {
    const ssize_t size = ::write(file_.get(), left.data(), left.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(path_);
    left.remove_prefix(static_cast<std::size_t>(size));
  }
  waiting_.clear();
  return {};
}

Expected<void> FileWriter::keep(const std::string& name) {
  TROUPE_TRY(flush());
  if (::fsync(file_.get()) != 0) return failed(path_);
  const fs::path kept = path_.parent_path() / name;
  if (::rename(path_.c_str(), kept.c_str()) != 0) return failed(kept);
  path_.clear();
  return sync_folder(kept.parent_path());
}

Expected<FileReader> FileReader::open(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed(path, Errc::file_not_found);
  return FileReader(std::move(file));
}

Expected<std::string> FileReader::read(std::int64_t start, std::size_t length) const {
  std::string bytes(length, '\0');
  std::size_t have = 0;
  while (have < length) {
    const ssize_t size =
        ::pread(file_.get(), bytes.data() + have, length - have, start + static_cast<off_t>(have));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(Errc::io_failed, std::string("reading a stored file: ") + std::strerror(errno));
    if (size == 0) break;
    have += static_cast<std::size_t>(size);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace troupe::gateway
