#pragma once
// What a deployment must not lose, in one file: its configuration, keys and secrets, and which models it
// serves by their hashes. Each part is listed with its SHA-256 in a manifest, and the manifest has one of its
// own: a checksum against damage, not a signature.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::cli {

/// A file to be put back where it was.
struct BackupFile {
  std::string path;  ///< absolute
  std::string kind;  ///< "config", "keys", "tls", "api_keys", "secret", "batches" or "file"
  mode_t mode = 0600;
  std::string owner = {}, group = {};  ///< names, or numbers where there is none
  std::string content = {};
  bool operator==(const BackupFile&) const = default;
};

/// A model that is served. Its weights are not in the backup. One that is not on the machine, as on a
/// router's, has a name alone.
struct BackupModel {
  std::string name;
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;  ///< lower-case hex
  bool operator==(const BackupModel&) const = default;
};

struct Backup {
  std::string release;  ///< "0.1.0", of the program that made it
  std::string made;     ///< "2026-01-31T12:00:00Z"
  std::vector<BackupFile> files;
  std::vector<BackupModel> models;
  std::vector<std::string>
      variables;  ///< names of environment variables that configured it; their values are the environment's
  std::string options;  ///< every option with its value as YAML, secrets hidden: to read, not put back
  bool operator==(const Backup&) const = default;
};

/// The bytes of a backup; the same for the same content.
[[nodiscard]] std::string to_archive(const Backup& backup);
/// Errors: file_malformed (damaged, or none), hash_mismatch naming the part, file_unsupported (of a later
/// format).
[[nodiscard]] Expected<Backup> from_archive(std::string_view bytes);

}  // namespace troupe::cli
