#include "common/base/file_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe {

FileMapping::~FileMapping() {
  if (at_ != nullptr) ::munmap(at_, size_);
}

Expected<void> FileMapping::map(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(Errc::file_not_found, path.string() + ": " + std::strerror(errno));
  auto result = map_descriptor(descriptor, path);
  ::close(descriptor);
  return result;
}

Expected<void> FileMapping::map_descriptor(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    return fail(Errc::file_not_found, path.string() + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return fail(Errc::file_malformed, path.string() + ": found a directory or device, expected a file");
  if (status.st_size == 0) return {};  // mmap refuses it; the parser says what is missing
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (at == MAP_FAILED) return fail(Errc::io_failed, path.string() + ": mmap: " + std::strerror(errno));
  at_ = at;
  size_ = size;
  return {};
}

}  // namespace troupe
