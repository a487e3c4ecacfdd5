#include "common/security/key_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace troupe::security {
namespace {

tl::unexpected<Error> refused(const std::filesystem::path& path, const char* what) {
  return fail(Errc::io_failed, path.string() + ": cannot " + what + ": " + std::strerror(errno));
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// Of the open file, so that what is looked at is what is read.
Expected<void> check_mode(const std::filesystem::path& path, int descriptor) {
  struct stat about {};
  if (::fstat(descriptor, &about) != 0) return refused(path, "look at it");
  if (!S_ISREG(about.st_mode)) return fail(Errc::config_invalid, path.string() + " is no regular file");
  const bool own = about.st_uid == ::geteuid();
  const mode_t allowed = own ? mode_t{S_IRWXU} : mode_t{S_IRWXU | S_IRGRP};
  if (!own && about.st_uid != 0)
    return fail(Errc::config_invalid,
                path.string() + " belongs to another user: a secret must be this user's or root's");
  if ((about.st_mode & 07777 & ~allowed) != 0)
    return fail(Errc::config_invalid, path.string() + " is open to others than its owner: chmod " +
                                          (own ? "600 " : "640 ") + path.string());
  return {};
}

Expected<std::string> read_all(const std::filesystem::path& path, int descriptor, std::size_t largest) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return refused(path, "read it");
    if (size == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > largest)
      return fail(Errc::file_malformed,
                  path.string() + " is over " + std::to_string(largest >> 10U) + " KiB");
  }
  ::explicit_bzero(piece.data(), piece.size());
  return text;
}

Expected<std::string> read_file(const std::filesystem::path& path, bool secret, std::size_t largest) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return fail(Errc::file_not_found, path.string() + ": " + std::strerror(errno));
  if (secret) TROUPE_TRY(check_mode(path, file.get()));
  return read_all(path, file.get(), largest);
}

}  // namespace

Expected<std::string> read_secret_file(const std::filesystem::path& path, std::size_t largest) {
  return read_file(path, true, largest);
}
Expected<std::string> read_public_file(const std::filesystem::path& path) {
  return read_file(path, false, kLargestKeyFile);
}

Expected<void> check_secret_folder(const std::filesystem::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0)
    return fail(Errc::file_not_found, folder.string() + ": " + std::strerror(errno));
  if (!S_ISDIR(about.st_mode)) return fail(Errc::config_invalid, folder.string() + " is no folder");
  if (about.st_uid == 0 && ::geteuid() != 0) return {};
  if (about.st_uid != ::geteuid())
    return fail(
        Errc::config_invalid,
        folder.string() + " belongs to another user: a folder of secrets must be this user's or root's");
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(Errc::config_invalid,
                folder.string() + " is open to others than its owner: chmod 700 " + folder.string());
  return {};
}

Expected<void> make_secret_folder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) return refused(folder, "make it");
  return check_secret_folder(folder);
}

Expected<void> write_new_file(const std::filesystem::path& path, std::string_view text) {
  const File file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (file.get() < 0) return refused(path, "make it");
  while (!text.empty()) {
    const ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return refused(path, "write it");
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::fsync(file.get()) != 0) return refused(path, "write it");
  return {};
}

Expected<void> replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path fresh = path.string() + ".new";
  ::unlink(fresh.c_str());  // of a run that was interrupted
  TROUPE_TRY(write_new_file(fresh, text));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return refused(path, "replace it");
  return {};
}

}  // namespace troupe::security
