// Model files, the memory for what is in them, the disk tier.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/config/model_catalog.hpp"
#include "services/cli/doctor/checks.hpp"
#include "services/cli/doctor/words.hpp"

namespace troupe::cli::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPageTokens = 64;

Finding wrong_file(const KnownModel& model, const std::string& what) {
  return {Level::problem, "model", std::string(model.name) + ": " + what,
          "remove it, then: troupe models pull " + std::string(model.name)};
}

Finding check_known(const KnownModel& model, const fs::path& path, const Machine& machine) {
  const auto bytes = machine.file_bytes(path);
  if (!bytes) return wrong_file(model, bytes.error().detail);
  if (*bytes != model.bytes)
    return wrong_file(model, path.string() + " has " + std::to_string(*bytes) + " bytes, the known file " +
                                 std::to_string(model.bytes));
  const auto hash = machine.sha256(path);
  if (!hash) return wrong_file(model, hash.error().detail);
  if (*hash != model.sha256)
    return wrong_file(model, path.string() + " has SHA-256 " + hash->substr(0, 16) + "..., the known file " +
                                 std::string(model.sha256.substr(0, 16)) + "...");
  return {Level::ok,
          "model",
          std::string(model.name) + ": " + path.string() + " is the known file (SHA-256)",
          {}};
}

Finding check_entry(const std::string& entry, const fs::path& folder, const Machine& machine) {
  const auto resolved = resolve_model(entry, folder);
  if (!resolved) {
    const bool absent = resolved.error().code == Errc::file_not_found;
    return {Level::problem, "model", resolved.error().detail,
            absent ? "fetch it, or name another with --model" : "name one of troupe models list, or a file"};
  }
  if (const KnownModel* known = known_by_file(resolved->path))
    return check_known(*known, resolved->path, machine);
  const auto facts = machine.model(resolved->path, backend::DType::f16);
  if (!facts) return {Level::problem, "model", to_string(facts.error()), "fetch or convert the file again"};
  return {Level::ok,
          "model",
          resolved->name + ": " + resolved->path.string() + " is whole (no SHA-256 is known of it)",
          {}};
}

/// What a worker takes, as far as its files can be read.
struct Need {
  std::uint64_t weights = 0, pages = 0, spare = 0;
  bool automatic = false;                       ///< its pages take a share of what is free
  std::uint64_t models = 0, smallest_pool = 0;  ///< models: those with pages; smallest_pool: of a request of full context
  std::uint64_t page = 0;
};

std::optional<Need> need_of(const Subject& subject, const Machine& machine) {
  Need need;
  const std::uint64_t configured = subject.config.bytes("kv.bytes");
  need.automatic = configured == 0;
  for (const std::string& entry : subject.config.list("model")) {
    const auto resolved = resolve_model(entry, models_folder(subject.config.text("models")));
    if (!resolved) return std::nullopt;
    const auto facts = machine.model(resolved->path, kv_dtype_of(subject.config));
    if (!facts) return std::nullopt;
    need.weights += facts->weight_bytes;
    if (facts->page_bytes == 0) continue;  // an encoder
    ++need.models;
    need.pages += configured;
    need.page = std::max(need.page, facts->page_bytes);
    need.smallest_pool = std::max(
        need.smallest_pool, (facts->context_length + kPageTokens - 1) / kPageTokens * facts->page_bytes);
  }
  if (need.weights == 0) return std::nullopt;
  need.spare = need.models * subject.config.bytes("kv.swap_bytes") +
               (subject.clustered() ? subject.config.bytes("kv.transfer_shared_bytes") : 0);
  return need;
}

/// Whether one request of the model's context fits into the pool.
Findings check_pool(const Subject& subject, const Need& need, std::uint64_t pool) {
  if (pool < 2 * need.page)
    return {{Level::problem, "memory",
             subject.name + ": " + size_text(pool) + " for KV pages of " + size_text(need.page) +
                 " each: two are the least",
             "raise kv.bytes, or free memory"}};
  if (pool >= need.smallest_pool) return {};
  return {{Level::warning, "memory",
           subject.name + ": KV pages hold " + std::to_string(pool / need.page * kPageTokens) +
               " tokens, less than the model's context: longer requests are refused",
           "set kv.bytes to " + size_text(need.smallest_pool) + " or more"}};
}

std::set<std::pair<std::string, std::string>> entries_of(const Subjects& subjects) {
  std::set<std::pair<std::string, std::string>> entries;
  for (const Subject& subject : subjects)
    if (subject.computes() || subject.serves_http())
      for (const std::string& entry : subject.config.list("model"))
        entries.emplace(entry, subject.config.text("models"));
  return entries;
}

}  // namespace

Findings check_models(const Subjects& subjects, const Machine& machine) {
  Findings findings;
  for (const auto& [entry, folder] : entries_of(subjects))
    findings.push_back(check_entry(entry, models_folder(folder), machine));
  return findings;
}

Findings check_memory(const Subjects& subjects, const Machine& machine) {
  Need all;
  std::vector<std::pair<const Subject*, Need>> workers;
  for (const Subject& subject : subjects) {
    if (!subject.computes()) continue;
    const auto need = need_of(subject, machine);
    if (!need) continue;  // check_models says why
    workers.emplace_back(&subject, *need);
    all.weights += need->weights;
    all.pages += need->pages;
    all.spare += need->spare;
    all.automatic = all.automatic || need->automatic;
  }
  if (workers.empty()) return {};
  const MemoryRoom room = machine.memory();
  const std::uint64_t needed = all.weights + all.pages;
  const std::string what = size_text(all.weights) + " of weights" +
                           (all.pages > 0 ? " and " + size_text(all.pages) + " of KV pages" : "") + "; of " +
                           size_text(room.total_bytes) + " " + size_text(room.free_bytes) + " are free";
  const std::string advice = "lower kv.bytes, start fewer workers, or take a machine with more memory";
  if (needed > room.total_bytes) return {{Level::problem, "memory", what, advice}};
  if (needed > room.free_bytes)
    return {{Level::warning, "memory", what + ": it would not start beside what runs now",
             "nothing, when that is this very cluster; else end it, or " + advice}};
  Findings findings;
  if (needed + all.spare > room.free_bytes)
    findings.push_back({Level::warning, "memory",
                        what + ": too little for kv.swap_bytes and shared frames besides",
                        "lower kv.swap_bytes or kv.bytes"});
  for (const auto& [subject, need] : workers) {
    if (need.models == 0) continue;
    // As a worker chooses it when it starts: a quarter of what the weights leave.
    const std::uint64_t left = room.free_bytes - std::min(room.free_bytes, need.weights);
    const std::uint64_t pool = need.automatic ? left / 4 / need.models : need.pages / need.models;
    for (Finding& each : check_pool(*subject, need, pool)) findings.push_back(std::move(each));
  }
  if (findings.empty())
    findings.push_back(
        {Level::ok, "memory", what + (all.automatic ? "; a worker's pages take a quarter of that" : ""), {}});
  return findings;
}

Findings check_disk_tier(const Subjects& subjects, const Machine& machine) {
  std::map<std::string, std::uint64_t> wanted;  // by folder: what its workers may fill
  for (const Subject& subject : subjects)
    if (const std::string& path = subject.config.text("kv.disk.path"); subject.computes() && !path.empty())
      wanted[path] += subject.config.list("model").size() * subject.config.bytes("kv.disk.capacity");
  Findings findings;
  for (const auto& [path, bytes] : wanted) {
    if (const auto able = machine.writable(path); !able) {
      findings.push_back({Level::problem, "disk tier", able.error().detail,
                          "give kv.disk.path a folder that this user may write to"});
      continue;
    }
    const auto room = machine.disk(path);
    if (!room) {
      findings.push_back(
          {Level::problem, "disk tier", room.error().detail, "give kv.disk.path a folder of a local disk"});
      continue;
    }
    const std::string what = path + " has " + size_text(room->free_bytes) + " free and " +
                             size_text(room->used_bytes) + " of pages, " + size_text(bytes) +
                             " may be filled";
    if (room->free_bytes + room->used_bytes >= bytes)
      findings.push_back({Level::ok, "disk tier", what, {}});
    else
      findings.push_back({Level::warning, "disk tier", what + ": writing pauses when it is full",
                          "lower kv.disk.capacity, or take a larger disk"});
  }
  return findings;
}

}  // namespace troupe::cli::doctor
