#pragma once
// Putting the files of a backup back: planned as a whole before the first one is written.
#include <filesystem>
#include <vector>

#include "services/cli/backup/backup.hpp"

namespace troupe::cli {

/// What a file of a backup meets where it belongs.
enum class FileState {
  absent,
  same,   ///< the same bytes and mode
  other,  ///< something else, which a restore would replace
};

struct PlannedFile {
  BackupFile file;
  std::filesystem::path target;
  FileState state = FileState::absent;
};

/// `root`: the folder that paths are below; "/" for where they were. Errors: file_malformed (what is there is
/// no regular file), io_failed.
[[nodiscard]] Expected<std::vector<PlannedFile>> plan_restore(const Backup& backup,
                                                              const std::filesystem::path& root);
/// Writes what is absent, and with `replace` what is other; all or none are refused before anything is
/// written. Each file appears whole, with its mode; run by root also with its owner, where this machine has
/// one of that name. Folders that are made are 0700 for keys and 0755 otherwise. Errors: config_invalid
/// naming what is in the way, io_failed.
[[nodiscard]] Expected<void> restore_files(const std::vector<PlannedFile>& plan, bool replace);

/// "is there", "is missing: ...", "differs: ...": what became of a model, which is read for that.
[[nodiscard]] std::string model_state(const BackupModel& model);

}  // namespace troupe::cli
