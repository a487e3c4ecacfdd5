#include "services/cli/backup/backup_command.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <ostream>

#include "common/config/options.hpp"
#include "common/security/key_files.hpp"
#include "common/terminal/table.hpp"
#include "services/cli/backup/archive.hpp"
#include "services/cli/backup/collect.hpp"
#include "services/cli/backup/restore.hpp"

namespace troupe::cli {
namespace {

// They print names, sizes and places, never what is in a file.
constexpr std::string_view kBackupHelp =
    "usage: troupe backup --to FILE [--file PATH]... [--without-batches] [--force] [--role ROLE] [flags]\n\n"
    "Writes what a deployment must not lose into FILE, a tar closed to other users: the configuration file, "
    "the cluster's\n"
    "keys, the certificate and key of the HTTP API, files that hold secrets, and the models' names and "
    "SHA-256. Give it the\n"
    "flags and the environment of the role.\n\n"
    "  --to FILE    the backup; whoever reads it is a member of the cluster\n"
    "  --file PATH  another file that belongs to the deployment, such as a cluster.yaml; may repeat\n"
    "  --force      replace FILE\n"
    "  --without-batches  leave out a gateway's files and batches, which are in it up to 48 MiB\n"
    "  --role ROLE  refuse flags that this role does not use\n\n"
    "Not in it: weights (troupe models pull), KV pages on disk (a cache), records of requests in Redis (they "
    "live an hour),\n"
    "and values of environment variables but the files that they name.\n";
constexpr std::string_view kRestoreHelp =
    "usage: troupe restore --from FILE [--check] [--root DIR] [--force]\n\n"
    "Puts the files of a backup back where they were, and says which models are missing. A damaged backup is "
    "refused before\n"
    "anything is written, and so is one whose files meet others.\n\n"
    "  --from FILE  what troupe backup wrote; this user's and closed to others\n"
    "  --check      only read and check it, and say what is in it\n"
    "  --root DIR   put the files below DIR\n"
    "  --force      replace other files that are there\n";

tl::unexpected<Error> unexpected_word(const Arguments& arguments) {
  return fail(Errc::config_invalid, "found " + arguments.front() + ", expected flags");
}

Expected<std::string> needed_flag(Arguments& arguments, std::string_view flag) {
  auto value = take_flag(arguments, flag);
  if (!value) return tl::unexpected<Error>(value.error());
  if (!*value || (*value)->empty())
    return fail(Errc::config_invalid, "expected " + std::string(flag) + " FILE");
  return **value;
}

/// The file that `arguments` or the environment names, as Config::load finds it.
std::string config_file_of(Arguments arguments, const Io& io) {
  const auto flag = take_flag(arguments, "--config");
  if (flag && *flag) return **flag;
  for (const auto& [name, value] : io.environment)
    if (name == "TROUPE_CONFIG") return value;
  return {};
}

Expected<Backup> collect(Arguments arguments, const Io& io) {
  CollectOptions options;
  options.environment = io.environment;
  options.batches = !take_switch(arguments, "--without-batches");
  for (;;) {
    auto file = take_flag(arguments, "--file");
    if (!file) return tl::unexpected<Error>(file.error());
    if (!*file) break;
    options.more.push_back(std::move(**file));
  }
  auto role = take_flag(arguments, "--role");
  if (!role) return tl::unexpected<Error>(role.error());
  options.config_file = config_file_of(arguments, io);
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  sources.environment = io.environment;
  sources.role = role->value_or("");
  const auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  if (!config->positionals().empty()) return unexpected_word(config->positionals());
  return collect_backup(*config, options);
}

/// A new file, or with `replace` one in place of another.
Expected<void> write_backup(const std::string& path, std::string_view bytes, bool replace) {
  std::error_code error;
  if (replace) return security::replace_file(path, bytes);
  if (std::filesystem::exists(path, error))
    return fail(Errc::config_invalid, path + " is there already; --force replaces it");
  return security::write_new_file(path, bytes);
}

std::string mode_text(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 0777));
  return text.data();
}

void print_contents(const Backup& backup, std::ostream& out) {
  Table table({"KIND", "MODE", "OWNER", "BYTES", "PATH"});
  for (const BackupFile& file : backup.files)
    table.add({file.kind, mode_text(file.mode), file.owner, std::to_string(file.content.size()), file.path});
  for (const BackupModel& model : backup.models)
    table.add(
        {"model", "", "", std::to_string(model.bytes),
         model.name + (model.sha256.empty() ? " (not on this machine)" : " (its hash alone) " + model.path)});
  out << table.text();
  if (backup.variables.empty()) return;
  out << "configured by variables, whose values are not in it:";
  for (const std::string& name : backup.variables) out << ' ' << name;
  out << '\n';
}

Expected<void> back_up(Arguments arguments, Io& io) {
  const bool force = take_switch(arguments, "--force");
  const auto to = needed_flag(arguments, "--to");
  if (!to) return tl::unexpected<Error>(to.error());
  const auto backup = collect(std::move(arguments), io);
  if (!backup) return tl::unexpected<Error>(backup.error());
  const std::string bytes = to_archive(*backup);
  // What cannot be read back is no backup: paths that are no text, files beyond an archive's size.
  const auto again = from_archive(bytes);
  if (!again) return tl::unexpected<Error>(again.error());
  if (*again != *backup) return fail(Errc::internal, "the backup does not read back as what was written");
  TROUPE_TRY(write_backup(*to, bytes, force));
  print_contents(*backup, io.out);
  io.out << *to << ": " << bytes.size() << " bytes; keep it as you keep the keys\n";
  return {};
}

Expected<Backup> read_backup(const std::string& path) {
  auto bytes = security::read_secret_file(path, kLargestArchive);
  if (!bytes) return tl::unexpected<Error>(bytes.error());
  auto backup = from_archive(*bytes);
  if (!backup) return fail(backup.error().code, path + ": " + backup.error().detail);
  return backup;
}

void print_restored(const std::vector<PlannedFile>& plan, std::ostream& out) {
  for (const PlannedFile& planned : plan) {
    const char* what = planned.state == FileState::same    ? "unchanged "
                       : planned.state == FileState::other ? "replaced  "
                                                           : "written   ";
    out << what << planned.target.string() << '\n';
  }
}

Expected<void> restore(Arguments arguments, Io& io) {
  const bool force = take_switch(arguments, "--force");
  const bool check = take_switch(arguments, "--check");
  const auto from = needed_flag(arguments, "--from");
  if (!from) return tl::unexpected<Error>(from.error());
  const auto root = take_flag(arguments, "--root");
  if (!root) return tl::unexpected<Error>(root.error());
  if (!arguments.empty()) return unexpected_word(arguments);
  const auto backup = read_backup(*from);
  if (!backup) return tl::unexpected<Error>(backup.error());
  io.out << "made " << backup->made << " by release " << backup->release << '\n';
  if (check) {
    print_contents(*backup, io.out);
    return {};
  }
  const auto plan = plan_restore(*backup, root->value_or("/"));
  if (!plan) return tl::unexpected<Error>(plan.error());
  TROUPE_TRY(restore_files(*plan, force));
  print_restored(*plan, io.out);
  for (const BackupModel& model : backup->models)
    io.out << "model " << model.name << ' ' << model_state(model) << '\n';
  return {};
}

}  // namespace

int backup_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kBackupHelp;
    return ok;
  }
  const auto done = back_up(std::move(arguments), io);
  return done ? ok : report(done.error(), io);
}

int restore_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kRestoreHelp;
    return ok;
  }
  const auto done = restore(std::move(arguments), io);
  return done ? ok : report(done.error(), io);
}

}  // namespace troupe::cli
