#include "common/base/file_stamp.hpp"

#include <sys/stat.h>

namespace troupe {

FileStamp stamp_of(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return {};
  return {{static_cast<std::int64_t>(about.st_dev), static_cast<std::int64_t>(about.st_ino), about.st_size,
           about.st_mtim.tv_sec, about.st_mtim.tv_nsec}};
}

}  // namespace troupe
