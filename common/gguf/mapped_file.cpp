#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "common/gguf/gguf.hpp"

namespace troupe::gguf {
namespace {

/// A read-only mapping of a whole file. Model files are replaced by rename, never rewritten in place: one
/// that shrinks while it is mapped raises SIGBUS, as with every reader that maps.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping() {
    if (at_ != nullptr) ::munmap(at_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  Expected<void> map(const std::filesystem::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
      return fail(Errc::file_not_found, fmt::format("{}: {}", path.string(), std::strerror(errno)));
    auto result = map_descriptor(descriptor, path);
    ::close(descriptor);
    return result;
  }

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(at_), size_}; }

 private:
  Expected<void> map_descriptor(int descriptor, const std::filesystem::path& path) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0)
      return fail(Errc::file_not_found, fmt::format("{}: {}", path.string(), std::strerror(errno)));
    if (!S_ISREG(status.st_mode))
      return fail(Errc::file_malformed,
                  fmt::format("{}: found a directory or device, expected a file", path.string()));
    if (status.st_size == 0) return {};  // mmap refuses it; the parser says what is missing
    void* at =
        ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (at == MAP_FAILED)
      return fail(Errc::io_failed, fmt::format("{}: mmap: {}", path.string(), std::strerror(errno)));
    at_ = at;
    size_ = static_cast<std::size_t>(status.st_size);
    return {};
  }

  void* at_ = nullptr;
  std::size_t size_ = 0;
};

struct MappedFile {
  Mapping mapping;  // outlives `file`, whose views point into it
  std::shared_ptr<const File> file;
};

}  // namespace

Expected<std::shared_ptr<const File>> File::open(const std::filesystem::path& path) {
  auto mapped = std::make_shared<MappedFile>();
  TROUPE_TRY(mapped->mapping.map(path));
  auto file = parse(mapped->mapping.bytes(), path.string(), File::Bytes::mapping);
  if (!file) return file;
  mapped->file = std::move(*file);
  const File* view = mapped->file.get();
  return std::shared_ptr<const File>(std::move(mapped), view);
}

}  // namespace troupe::gguf
