#include "services/cli/backup/collect.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "common/config/dump.hpp"
#include "common/config/model_catalog.hpp"
#include "common/security/key_folder.hpp"
#include "services/cli/role_options.hpp"
#include "services/cli/sha256.hpp"
#include "services/cli/version.hpp"
#include "services/gateway/batches/batch_store.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestFile = 1U << 20;

tl::unexpected<Error> unreadable(const fs::path& path) {
  return fail(Errc::file_not_found, path.string() + ": " + std::strerror(errno));
}

std::string owner_name(uid_t id) {
  const passwd* entry = ::getpwuid(id);
  return entry != nullptr ? entry->pw_name : std::to_string(id);
}

std::string group_name(gid_t id) {
  const group* entry = ::getgrgid(id);
  return entry != nullptr ? entry->gr_name : std::to_string(id);
}

/// Of the open file, so that what is described is what is read.
Expected<BackupFile> read_open(int descriptor, const fs::path& path, std::string kind, std::size_t most) {
  struct stat about {};
  if (::fstat(descriptor, &about) != 0) return unreadable(path);
  if (!S_ISREG(about.st_mode)) return fail(Errc::file_malformed, path.string() + " is no regular file");
  BackupFile file{path.string(),
                  std::move(kind),
                  about.st_mode & 0777,
                  owner_name(about.st_uid),
                  group_name(about.st_gid),
                  {}};
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return unreadable(path);
    if (size == 0) break;
    file.content.append(piece.data(), static_cast<std::size_t>(size));
    if (file.content.size() > most)
      return fail(Errc::file_malformed, path.string() + " is over " + std::to_string(most) + " bytes");
  }
  ::explicit_bzero(piece.data(), piece.size());
  return file;
}

Expected<BackupFile> read_file(const fs::path& path, std::string kind, std::size_t most = kLargestFile) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return unreadable(path);
  auto file = read_open(descriptor, path, std::move(kind), most);
  ::close(descriptor);
  return file;
}

/// Keys that no member could use are no backup. Root may save those of the service's user, whose they must be
/// to be taken.
Expected<void> check_keys(const std::string& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0) return unreadable(folder);
  if (::geteuid() == 0 && about.st_uid != 0) return {};
  if (const auto keys = security::load_keys(folder); !keys) return tl::unexpected<Error>(keys.error());
  return {};
}

/// Files in the order they are added, each once.
class Collector {
 public:
  explicit Collector(Backup& backup) : backup_(backup) {}

  Expected<void> add(const std::string& given, std::string kind) {
    if (given.empty()) return {};
    const fs::path path = fs::absolute(given).lexically_normal();
    for (const BackupFile& file : backup_.files)
      if (file.path == path.string()) return {};
    auto file = read_file(path, std::move(kind));
    if (!file) return tl::unexpected<Error>(file.error());
    backup_.files.push_back(std::move(*file));
    return {};
  }
  Expected<void> add_keys(const std::string& folder) {
    if (folder.empty()) return {};
    TROUPE_TRY(check_keys(folder));
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
      if (at->is_regular_file(error)) names.push_back(at->path().string());
    if (error) return fail(Errc::file_not_found, folder + ": " + error.message());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) TROUPE_TRY(add(name, "keys"));
    return {};
  }
  /// The database first, so that what it names is there or was deleted meanwhile.
  Expected<void> add_batches(const fs::path& given) {
    std::error_code error;
    const fs::path folder = fs::absolute(given, error).lexically_normal();
    const fs::path database = folder / gateway::kBatchDatabase;
    if (given.empty() || !fs::exists(database, error)) return {};
    auto copy = read_database(folder);
    if (!copy) return tl::unexpected<Error>(copy.error());
    std::size_t bytes = copy->content.size();
    backup_.files.push_back(std::move(*copy));
    std::vector<fs::path> contents;
    for (fs::directory_iterator at(folder / "files", error), end; !error && at != end; at.increment(error))
      if (at->path().filename().string().starts_with("file-")) contents.push_back(at->path());
    if (error) return fail(Errc::file_not_found, folder.string() + ": " + error.message());
    std::sort(contents.begin(), contents.end());
    for (const fs::path& path : contents) {
      auto file = read_file(path, "batches", kLargestBatches);
      if (!file && !fs::exists(path, error)) continue;
      if (!file) return too_large(folder);
      bytes += file->content.size();
      if (bytes > kLargestBatches) return too_large(folder);
      backup_.files.push_back(std::move(*file));
    }
    return {};
  }

 private:
  static tl::unexpected<Error> too_large(const fs::path& folder) {
    return fail(Errc::file_malformed,
                folder.string() +
                    " has over 48 MiB: copy it while its gateway is stopped, and leave it out "
                    "here with --without-batches");
  }

  /// As it is now, with what its gateway writes meanwhile left out.
  static Expected<BackupFile> read_database(const fs::path& folder) {
    const fs::path path = folder / gateway::kBatchDatabase;
    auto file = read_file(path, "batches", kLargestBatches);
    if (!file) return too_large(folder);
    const fs::path copy = folder / ("backup-" + to_hex(random_id<RequestId>()));
    const auto copied = gateway::copy_batch_database(folder, copy);
    auto content = copied ? read_file(copy, "batches", kLargestBatches)
                          : Expected<BackupFile>(tl::unexpected<Error>(copied.error()));
    ::unlink(copy.c_str());
    if (!content) return content;
    file->content = std::move(content->content);
    return file;
  }

  Backup& backup_;
};

Expected<std::vector<BackupModel>> describe_models(const Config& config) {
  const fs::path folder = models_folder(config.text("models"));
  std::vector<BackupModel> found;
  for (const std::string& name : config.list("model")) {
    const auto model = resolve_model(name, folder);
    if (!model && model.error().code != Errc::file_not_found) return tl::unexpected<Error>(model.error());
    if (!model) {
      found.push_back({name, {}, 0, {}});
      continue;
    }
    auto hash = sha256_of_file(model->path);
    if (!hash) return tl::unexpected<Error>(hash.error());
    const fs::path path = fs::absolute(model->path).lexically_normal();
    std::error_code error;
    found.push_back({model->name, path.string(), fs::file_size(path, error), std::move(*hash)});
    if (error) return fail(Errc::file_not_found, path.string() + ": " + error.message());
  }
  return found;
}

std::string time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

}  // namespace

Expected<Backup> collect_backup(const Config& config, const CollectOptions& options) {
  Backup backup;
  backup.release = std::string(version());
  backup.made = time_of_day();
  backup.options = dump_yaml(config);
  Collector collector(backup);
  TROUPE_TRY(collector.add(options.config_file, "config"));
  TROUPE_TRY(collector.add_keys(config.text("security.keys")));
  TROUPE_TRY(collector.add(config.text("http.tls.certificate"), "tls"));
  TROUPE_TRY(collector.add(config.text("http.tls.key"), "tls"));
  TROUPE_TRY(collector.add(config.text("gateway.api_keys"), "api_keys"));
  for (const auto& [name, value] : options.environment) {
    if (!name.starts_with("TROUPE_")) continue;
    backup.variables.push_back(name);
    const bool secret =
        name.ends_with(kSecretFileSuffix);  // Config::load takes no other variable of that ending
    if (secret) TROUPE_TRY(collector.add(value, "secret"));
  }
  std::sort(backup.variables.begin(), backup.variables.end());
  for (const std::string& path : options.more) TROUPE_TRY(collector.add(path, "file"));
  if (options.batches) TROUPE_TRY(collector.add_batches(batch_folder(config)));
  auto models = describe_models(config);
  if (!models) return tl::unexpected<Error>(models.error());
  backup.models = std::move(*models);
  return backup;
}

}  // namespace troupe::cli
