#include "services/cli/backup/restore.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "common/config/model_catalog.hpp"
#include "common/security/key_files.hpp"
#include "services/cli/sha256.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> failed_at(const fs::path& path, const char* what) {
  return fail(Errc::io_failed, path.string() + ": cannot " + what + ": " + std::strerror(errno));
}

Expected<FileState> state_of(const BackupFile& file, const fs::path& target) {
  struct stat about {};
  if (::stat(target.c_str(), &about) != 0) {
    if (errno == ENOENT) return FileState::absent;
    return failed_at(target, "look at it");
  }
  if (!S_ISREG(about.st_mode))
    return fail(Errc::file_malformed, target.string() + " is there and no regular file");
  if ((about.st_mode & 0777) != file.mode || static_cast<std::size_t>(about.st_size) != file.content.size())
    return FileState::other;
  std::ifstream in(target, std::ios::binary);
  const std::string now{std::istreambuf_iterator<char>(in), {}};
  return now == file.content ? FileState::same : FileState::other;
}

struct Owner {
  uid_t user = static_cast<uid_t>(-1);  ///< -1: left as it is
  gid_t group = static_cast<gid_t>(-1);
};

/// Nobody but root gives files away; a name that this machine has not is no error.
Owner owner_of(const BackupFile& file) {
  Owner owner;
  if (::geteuid() != 0) return owner;
  if (const passwd* user = ::getpwnam(file.owner.c_str())) owner.user = user->pw_uid;
  if (const group* entry = ::getgrnam(file.group.c_str())) owner.group = entry->gr_gid;
  return owner;
}

/// The folders above `target` that are not there.
Expected<void> make_folders(const fs::path& target, bool secret, const Owner& owner) {
  const fs::path folder = target.parent_path();
  std::error_code error;
  if (fs::exists(folder, error)) return {};
  fs::create_directories(folder.parent_path(), error);
  if (error) return fail(Errc::io_failed, folder.string() + ": cannot make it: " + error.message());
  if (::mkdir(folder.c_str(), secret ? 0700 : 0755) != 0) return failed_at(folder, "make it");
  if (::chown(folder.c_str(), owner.user, owner.group) != 0) return failed_at(folder, "give it to its owner");
  return {};
}

Expected<void> write(const PlannedFile& planned) {
  const Owner owner = owner_of(planned.file);
  const bool batches = planned.file.kind == "batches";
  TROUPE_TRY(make_folders(planned.target, planned.file.kind == "keys" || batches, owner));
  // A journal of another database would be taken for this one's.
  for (const char* journal : {"-wal", "-shm"})
    if (batches) ::unlink((planned.target.string() + journal).c_str());
  TROUPE_TRY(security::replace_file(planned.target, planned.file.content));  // 0600 until it has its mode
  if (::chown(planned.target.c_str(), owner.user, owner.group) != 0)
    return failed_at(planned.target, "give it to its owner");
  if (::chmod(planned.target.c_str(), planned.file.mode) != 0)
    return failed_at(planned.target, "set its mode");
  return {};
}

std::string how_to_get(const BackupModel& model) {
  for (const KnownModel& known : known_models())
    if (known.sha256 == model.sha256) return "troupe models pull " + std::string(known.name);
  return "copy the file with SHA-256 " + model.sha256 + " there";
}

}  // namespace

Expected<std::vector<PlannedFile>> plan_restore(const Backup& backup, const fs::path& root) {
  std::vector<PlannedFile> plan;
  for (const BackupFile& file : backup.files) {
    PlannedFile planned{file, root / fs::path(file.path).relative_path(), FileState::absent};
    const auto state = state_of(file, planned.target);
    if (!state) return tl::unexpected<Error>(state.error());
    planned.state = *state;
    plan.push_back(std::move(planned));
  }
  return plan;
}

Expected<void> restore_files(const std::vector<PlannedFile>& plan, bool replace) {
  std::string in_the_way;
  for (const PlannedFile& planned : plan)
    if (planned.state == FileState::other)
      in_the_way.append(in_the_way.empty() ? "" : ", ").append(planned.target.string());
  if (!in_the_way.empty() && !replace)
    return fail(Errc::config_invalid,
                "there are other files already: " + in_the_way + "; --force replaces them");
  for (const PlannedFile& planned : plan)
    if (planned.state != FileState::same) TROUPE_TRY(write(planned));
  return {};
}

std::string model_state(const BackupModel& model) {
  if (model.sha256.empty()) return "was not on the machine that made the backup";
  std::error_code error;
  const auto bytes = fs::file_size(model.path, error);
  if (error) return "is missing at " + model.path + ": " + how_to_get(model);
  const auto hash = bytes == model.bytes ? sha256_of_file(model.path) : Expected<std::string>(std::string());
  if (!hash) return "cannot be read: " + to_string(hash.error());
  return *hash == model.sha256 ? "is there" : "differs from the one that was served: " + how_to_get(model);
}

}  // namespace troupe::cli
