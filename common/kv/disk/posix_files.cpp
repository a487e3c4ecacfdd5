// Files of the operating system.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/kv/disk/files.hpp"

namespace troupe::kv::disk {
namespace {

constexpr const char* kLockName = "lock";

tl::unexpected<Error> failed(const std::string& what) {
  return fail(Errc::io_failed, what + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  Expected<void> read(std::uint64_t offset, std::span<std::byte> to) const override {
    while (!to.empty()) {
      const ssize_t got = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("reading " + path_);
      if (got == 0) return fail(Errc::io_failed, path_ + " ends at byte " + std::to_string(offset));
      to = to.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return {};
  }
  Expected<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("writing " + path_);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }
  Expected<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return failed("cutting " + path_);
    return {};
  }
  Expected<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return failed("syncing " + path_);
    return {};
  }
  Expected<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return failed("looking at " + path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class PosixFolder final : public Folder {
 public:
  PosixFolder(std::string path, std::unique_ptr<Descriptor> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  Expected<std::vector<std::string>> list() const override {
    std::error_code error;
    std::vector<std::string> names;
    for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error))
      if (at->path().filename() != kLockName) names.push_back(at->path().filename().string());
    if (error) return fail(Errc::io_failed, "listing " + path_ + ": " + error.message());
    return names;
  }
  Expected<std::unique_ptr<File>> open(const std::string& name) override { return opened(name, O_RDWR); }
  Expected<std::unique_ptr<File>> create(const std::string& name) override {
    return opened(name, O_RDWR | O_CREAT | O_EXCL);
  }
  Expected<void> remove(const std::string& name) override {
    if (::unlink((path_ + "/" + name).c_str()) != 0) return failed("removing " + path_ + "/" + name);
    return {};
  }

 private:
  Expected<std::unique_ptr<File>> opened(const std::string& name, int flags) const {
    const std::string path = path_ + "/" + name;
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);  // pages tell what prompts said
    if (fd < 0) return failed("opening " + path);
    return std::make_unique<PosixFile>(path, fd);
  }

  std::string path_;
  std::unique_ptr<Descriptor> lock_;
};

/// The lock file of a folder that exists, open; -1 with errno when another process has it locked, or on an
/// error.
int locked(const std::string& folder, int how) {
  const int fd = ::open((folder + "/" + kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::flock(fd, how) == 0) return fd;
  const int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code none;
    if (const auto size = at->file_size(none); !none) sum += size;
  }
  return sum;
}

Expected<void> make(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::io_failed, "making " + folder + ": " + error.message());
  return {};
}

}  // namespace

Expected<std::unique_ptr<Folder>> lock_folder(const std::string& parent) {
  TROUPE_TRY(make(parent));
  // Held while this process looks, or two that start together would each see the other's try as a lock.
  const Descriptor turn(locked(parent, LOCK_EX));
  if (turn.get() < 0) return failed("locking " + parent);
  std::unique_ptr<Descriptor> best;
  std::string best_path, unused;
  std::uint64_t best_bytes = 0;
  for (int number = 0; number < kMostFolders; ++number) {
    const std::string path = parent + "/" + std::to_string(number);
    if (!std::filesystem::is_directory(path)) {
      if (unused.empty()) unused = path;
      continue;
    }
    auto lock = std::make_unique<Descriptor>(locked(path, LOCK_EX | LOCK_NB));
    if (lock->get() < 0 && errno == EWOULDBLOCK) continue;
    if (lock->get() < 0) return failed("locking " + path);
    const std::uint64_t bytes = bytes_in(path);
    if (best != nullptr && bytes <= best_bytes) continue;
    best = std::move(lock);
    best_path = path;
    best_bytes = bytes;
  }
  if (best != nullptr) return std::make_unique<PosixFolder>(best_path, std::move(best));
  if (unused.empty())
    return fail(Errc::address_in_use,
                "all " + std::to_string(kMostFolders) + " folders of " + parent + " are locked");
  TROUPE_TRY(make(unused));
  best = std::make_unique<Descriptor>(locked(unused, LOCK_EX | LOCK_NB));
  if (best->get() < 0) return failed("locking " + unused);
  return std::make_unique<PosixFolder>(unused, std::move(best));
}

}  // namespace troupe::kv::disk
