#include "services/cli/output_file.hpp"

#include <fstream>

namespace troupe::cli {

Expected<void> write_file(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
  out.flush();
  if (!out) return fail(Errc::io_failed, path + " cannot be written");
  return {};
}

}  // namespace troupe::cli
