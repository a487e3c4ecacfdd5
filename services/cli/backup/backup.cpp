#include "services/cli/backup/backup.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include "services/cli/backup/archive.hpp"
#include "services/cli/sha256.hpp"

namespace troupe::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr std::string_view kManifest = "MANIFEST.json", kManifestSum = "MANIFEST.sha256",
                           kOptions = "OPTIONS.yaml";

std::string sha256_of(std::string_view text) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.finish();
}

/// "files/0007-troupe.yaml": unique, and short enough whatever the path.
std::string entry_name(std::size_t index, const std::string& path) {
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "files/%04zu-", index);
  return number.data() + std::filesystem::path(path).filename().string().substr(0, 64);
}

std::string mode_text(mode_t mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
  return text.data();
}

Json manifest_of(const Backup& backup) {
  Json json{{"format", kFormat}, {"release", backup.release}, {"made", backup.made}};
  json["options"] = {{"entry", kOptions}, {"sha256", sha256_of(backup.options)}};
  json["variables"] = backup.variables;
  json["files"] = Json::array();
  for (std::size_t i = 0; i < backup.files.size(); ++i) {
    const BackupFile& file = backup.files[i];
    json["files"].push_back({{"entry", entry_name(i, file.path)},
                             {"path", file.path},
                             {"kind", file.kind},
                             {"mode", mode_text(file.mode)},
                             {"owner", file.owner},
                             {"group", file.group},
                             {"bytes", file.content.size()},
                             {"sha256", sha256_of(file.content)}});
  }
  json["models"] = Json::array();
  for (const BackupModel& model : backup.models)
    json["models"].push_back(
        {{"name", model.name}, {"path", model.path}, {"bytes", model.bytes}, {"sha256", model.sha256}});
  return json;
}

tl::unexpected<Error> malformed(const std::string& what) {
  return fail(Errc::file_malformed, "this is no backup, or a damaged one: " + what);
}

using Entries = std::map<std::string, std::string, std::less<>>;

/// The content of an entry, if it is what the manifest says.
Expected<std::string> checked(Entries& entries, const std::string& name, const std::string& sha256) {
  const auto at = entries.find(name);
  if (at == entries.end()) return malformed("it has no " + name);
  std::string content = std::move(at->second);
  entries.erase(at);
  if (sha256_of(content) != sha256) return fail(Errc::hash_mismatch, name + " is damaged");
  return content;
}

/// A path that leads where it says: whoever restores it must not be led elsewhere.
Expected<void> check_path(const std::string& path) {
  const std::filesystem::path given(path);
  const bool plain = given.is_absolute() && given.lexically_normal().string() == path && given.has_filename();
  if (!plain || path.find('\0') != std::string::npos)
    return malformed("\"" + path + "\" is no absolute path");
  return {};
}

Expected<BackupFile> file_of(const Json& row, Entries& entries) {
  BackupFile file;
  file.path = row.at("path").get<std::string>();
  TROUPE_TRY(check_path(file.path));
  file.kind = row.at("kind").get<std::string>();
  file.mode = static_cast<mode_t>(std::stoul(row.at("mode").get<std::string>(), nullptr, 8)) & 0777;
  file.owner = row.at("owner").get<std::string>();
  file.group = row.at("group").get<std::string>();
  auto content = checked(entries, row.at("entry").get<std::string>(), row.at("sha256").get<std::string>());
  if (!content) return tl::unexpected<Error>(content.error());
  file.content = std::move(*content);
  return file;
}

Expected<Backup> read_manifest(const Json& json, Entries& entries) {
  if (json.at("format").get<int>() != kFormat)
    return fail(Errc::file_unsupported, "a backup of format " + json.at("format").dump() +
                                            ", made by release " + json.at("release").get<std::string>() +
                                            ": restore it with that release");
  Backup backup;
  backup.release = json.at("release").get<std::string>();
  backup.made = json.at("made").get<std::string>();
  backup.variables = json.at("variables").get<std::vector<std::string>>();
  const Json& options = json.at("options");
  auto text =
      checked(entries, options.at("entry").get<std::string>(), options.at("sha256").get<std::string>());
  if (!text) return tl::unexpected<Error>(text.error());
  backup.options = std::move(*text);
  std::set<std::string> paths;
  for (const Json& row : json.at("files")) {
    auto file = file_of(row, entries);
    if (!file) return tl::unexpected<Error>(file.error());
    if (!paths.insert(file->path).second) return malformed(file->path + " is in it twice");
    backup.files.push_back(std::move(*file));
  }
  for (const Json& row : json.at("models"))
    backup.models.push_back({row.at("name").get<std::string>(), row.at("path").get<std::string>(),
                             row.at("bytes").get<std::uint64_t>(), row.at("sha256").get<std::string>()});
  return backup;
}

}  // namespace

std::string to_archive(const Backup& backup) {
  const std::string manifest = manifest_of(backup).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::vector<ArchiveFile> files{{std::string(kManifest), manifest},
                                 {std::string(kManifestSum), sha256_of(manifest) + "  MANIFEST.json\n"},
                                 {std::string(kOptions), backup.options}};
  for (std::size_t i = 0; i < backup.files.size(); ++i)
    files.push_back({entry_name(i, backup.files[i].path), backup.files[i].content});
  return write_archive(files);
}

Expected<Backup> from_archive(std::string_view bytes) {
  auto files = read_archive(bytes);
  if (!files) return tl::unexpected<Error>(files.error());
  Entries entries;
  for (ArchiveFile& file : *files) {
    const bool fresh = entries.emplace(file.name, std::move(file.content)).second;
    if (!fresh) return malformed("it has two of " + file.name);
  }
  const std::string manifest = entries[std::string(kManifest)];
  if (entries[std::string(kManifestSum)] != sha256_of(manifest) + "  MANIFEST.json\n")
    return fail(Errc::hash_mismatch, "MANIFEST.json is damaged");
  entries.erase(std::string(kManifest));
  entries.erase(std::string(kManifestSum));
  try {
    auto backup = read_manifest(Json::parse(manifest), entries);
    if (backup && !entries.empty()) return malformed("its manifest does not list " + entries.begin()->first);
    return backup;
  } catch (const std::exception& e) {  // the JSON library's, and std::stoul's
    return malformed(e.what());
  }
}

}  // namespace troupe::cli
