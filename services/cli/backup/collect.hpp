#pragma once
// Which files a deployment of some configuration must not lose, and what is in them.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.hpp"
#include "services/cli/backup/backup.hpp"

namespace troupe::cli {

struct CollectOptions {
  std::string config_file;  ///< empty: it is configured without one
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> more;  ///< further files, as given
  bool batches = true;            ///< a gateway's files and batches, as they are now
};

/// Bytes of files and batches that a backup takes.
inline constexpr std::size_t kLargestBatches = 48U << 20;

/// The configuration file, the folder of keys, the certificate of the HTTP API and its key, the files that
/// hold secrets, `more`, and what batch_folder() has; the models by their hashes, which reads them. A relative path is one of the
/// working folder. Errors: those of security::load_keys; config_invalid (an unknown model); file_not_found,
/// file_malformed (over 1 MiB, or no regular file; batches over kLargestBatches).
[[nodiscard]] Expected<Backup> collect_backup(const Config& config, const CollectOptions& options);

}  // namespace troupe::cli
