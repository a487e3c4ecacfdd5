#include "services/gateway/batches/batch_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <system_error>

namespace troupe::gateway {
namespace {

namespace fs = std::filesystem;

// One entry per version; a database of version N has had the first N.
constexpr std::array<const char*, 1> kMigrations{R"(
CREATE TABLE files(serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
                   name TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL, created INTEGER NOT NULL,
                   expires INTEGER NOT NULL);
CREATE INDEX files_of ON files(owner, serial);
CREATE TABLE batches(serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
                     tenant TEXT NOT NULL, api_key TEXT NOT NULL, input_file TEXT NOT NULL, endpoint TEXT NOT NULL,
                     model TEXT NOT NULL, metadata TEXT NOT NULL, status INTEGER NOT NULL, expires INTEGER NOT NULL,
                     output_lifetime INTEGER NOT NULL, ran_out INTEGER NOT NULL, total INTEGER NOT NULL,
                     completed INTEGER NOT NULL, failed INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
                     cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
                     reasoning_tokens INTEGER NOT NULL, output_file TEXT NOT NULL, error_file TEXT NOT NULL,
                     errors TEXT NOT NULL, validating_at INTEGER NOT NULL, failed_at INTEGER NOT NULL,
                     in_progress_at INTEGER NOT NULL, finalizing_at INTEGER NOT NULL, completed_at INTEGER NOT NULL,
                     expired_at INTEGER NOT NULL, cancelling_at INTEGER NOT NULL, cancelled_at INTEGER NOT NULL);
CREATE INDEX batches_of ON batches(owner, serial);
CREATE TABLE lines(batch INTEGER NOT NULL, line INTEGER NOT NULL, custom_id TEXT NOT NULL, start INTEGER NOT NULL,
                   length INTEGER NOT NULL, PRIMARY KEY(batch, line), UNIQUE(batch, custom_id)) WITHOUT ROWID;
CREATE TABLE results(batch INTEGER NOT NULL, line INTEGER NOT NULL, failed INTEGER NOT NULL, text TEXT NOT NULL,
                     PRIMARY KEY(batch, line));
)"};

constexpr std::string_view kBatchColumns =
    "id, owner, tenant, api_key, input_file, endpoint, model, metadata, status, expires, output_lifetime, "
    "ran_out, "
    "total, completed, failed, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, "
    "output_file, "
    "error_file, errors, validating_at, failed_at, in_progress_at, finalizing_at, completed_at, expired_at, "
    "cancelling_at, cancelled_at";
constexpr std::string_view kBatchMarks = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";
constexpr int kBatchColumnCount = 30;
constexpr std::string_view kEnded = "status IN (1, 4, 5, 7)";  // failed, completed, expired, cancelled
static_assert(static_cast<int>(BatchStatus::failed) == 1 && static_cast<int>(BatchStatus::completed) == 4 &&
              static_cast<int>(BatchStatus::expired) == 5 && static_cast<int>(BatchStatus::cancelled) == 7);
constexpr std::string_view kFileColumns = "id, owner, name, purpose, bytes, created, expires";

template <class T>
tl::unexpected<Error> error_of(T& result) {
  return tl::unexpected<Error>(std::move(result.error()));
}

std::string text(std::string_view a, std::string_view b, std::string_view c = {}, std::string_view d = {}) {
  std::string out;
  for (const std::string_view part : {a, b, c, d}) out += part;
  return out;
}

/// In the order of kBatchColumns.
void bind_batch(Statement& statement, const Batch& batch) {
  int at = 0;
  for (const std::string& value : {batch.id, to_hex(batch.owner), batch.tenant, batch.key, batch.input_file,
                                   batch.endpoint, batch.model, batch.metadata})
    statement.bind(++at, value);
  for (const std::int64_t value :
       {static_cast<std::int64_t>(batch.status), batch.expires, batch.output_lifetime,
        std::int64_t{batch.ran_out}, batch.total, batch.completed, batch.failed, batch.usage.prompt_tokens,
        batch.usage.cached_tokens, batch.usage.completion_tokens, batch.usage.reasoning_tokens})
    statement.bind(++at, value);
  for (const std::string& value : {batch.output_file, batch.error_file, batch.errors})
    statement.bind(++at, value);
  for (const std::int64_t value : batch.entered) statement.bind(++at, value);
}

/// Of a row that has kBatchColumns and then the serial.
Batch read_batch(const Statement& row) {
  Batch batch;
  int at = 0;
  batch.id = row.text(at++);
  if (const auto owner = id_from_hex<RequestId>(row.text(at++))) batch.owner = *owner;
  for (std::string* value :
       {&batch.tenant, &batch.key, &batch.input_file, &batch.endpoint, &batch.model, &batch.metadata})
    *value = row.text(at++);
  batch.status = static_cast<BatchStatus>(row.integer(at++));
  batch.expires = row.integer(at++);
  batch.output_lifetime = row.integer(at++);
  batch.ran_out = row.integer(at++) != 0;
  for (std::int64_t* value :
       {&batch.total, &batch.completed, &batch.failed, &batch.usage.prompt_tokens, &batch.usage.cached_tokens,
        &batch.usage.completion_tokens, &batch.usage.reasoning_tokens})
    *value = row.integer(at++);
  for (std::string* value : {&batch.output_file, &batch.error_file, &batch.errors}) *value = row.text(at++);
  for (std::int64_t& value : batch.entered) value = row.integer(at++);
  batch.serial = row.integer(kBatchColumnCount);
  return batch;
}

/// Of a row that has kFileColumns.
FileRecord read_file(const Statement& row) {
  FileRecord file;
  file.id = row.text(0);
  if (const auto owner = id_from_hex<RequestId>(row.text(1))) file.owner = *owner;
  file.name = row.text(2);
  file.purpose = row.text(3);
  file.bytes = row.integer(4);
  file.created = row.integer(5);
  file.expires = row.integer(6);
  return file;
}

template <class T, class Read>
Expected<std::vector<T>> read_all(Expected<Statement> statement, Read read) {
  if (!statement) return error_of(statement);
  std::vector<T> rows;
  for (;;) {
    const auto more = statement->step();
    if (!more) return tl::unexpected<Error>(more.error());
    if (!*more) return rows;
    rows.push_back(read(*statement));
  }
}

Expected<void> migrate(Database& database) {
  const auto version = database.number("PRAGMA user_version");
  if (!version) return tl::unexpected<Error>(version.error());
  const auto newest = static_cast<std::int64_t>(kMigrations.size());
  if (*version > newest)
    return fail(Errc::file_unsupported, "the batch database has version " + std::to_string(*version) +
                                            ", this release knows " + std::to_string(newest) +
                                            ": a later release made it");
  for (auto at = static_cast<std::size_t>(*version); at < kMigrations.size(); ++at) {
    auto transaction = Transaction::begin(database);
    if (!transaction) return error_of(transaction);
    TROUPE_TRY(database.execute(kMigrations[at]));
    TROUPE_TRY(database.execute("PRAGMA user_version = " + std::to_string(at + 1)));
    TROUPE_TRY(transaction->commit());
  }
  return {};
}

Expected<Database> open_database(const fs::path& path) {
  auto database = Database::open(path.string());
  if (!database) return database;
  // FULL: what was answered to a client outlives a power cut, too.
  TROUPE_TRY(
      database->execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                        "PRAGMA journal_size_limit = 67108864"));
  TROUPE_TRY(migrate(*database));
  return database;
}

}  // namespace

Expected<BatchStore> BatchStore::open(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "files", error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);  // it holds texts
  if (error) return fail(Errc::io_failed, folder.string() + ": " + error.message());
  auto lock = FolderLock::take(folder);
  if (!lock) return error_of(lock);
  auto database = open_database(folder / kBatchDatabase);
  if (!database) return error_of(database);
  BatchStore store(folder, std::move(*lock), std::move(*database));
  TROUPE_TRY(store.remove_strangers());
  return store;
}

// What was coming in, or going out, when the process ended.
Expected<void> BatchStore::remove_strangers() {
  const auto known = read_all<std::string>(database_.query("SELECT id FROM files"),
                                           [](const Statement& row) { return row.text(0); });
  if (!known) return tl::unexpected<Error>(known.error());
  const std::set<std::string> names(known->begin(), known->end());
  std::error_code error;
  std::vector<fs::path> strangers;
  for (fs::directory_iterator at(folder_ / "files", error), end; !error && at != end; at.increment(error))
    if (!names.contains(at->path().filename().string())) strangers.push_back(at->path());
  for (const fs::path& path : strangers) fs::remove(path, error);
  if (error) return fail(Errc::io_failed, folder_.string() + ": " + error.message());
  return {};
}

Expected<FileWriter> BatchStore::new_content() const {
  return FileWriter::create(folder_ / "files");
}

Expected<FileRecord> BatchStore::add_file(FileRecord record, FileWriter& content) {
  record.id = "file-" + to_hex(random_id<RequestId>());
  record.bytes = content.bytes();
  TROUPE_TRY(content.keep(record.id));
  auto added = database_.run(text("INSERT INTO files(", kFileColumns, ") VALUES(?,?,?,?,?,?,?)"), record.id,
                             to_hex(record.owner), record.name, record.purpose, record.bytes, record.created,
                             record.expires);
  if (added) return record;
  ::unlink(content_of(record.id).c_str());
  return error_of(added);
}

Expected<std::optional<FileRecord>> BatchStore::file(const RequestId& owner, const std::string& id,
                                                     std::int64_t now) {
  auto found = read_all<FileRecord>(
      database_.query(text("SELECT ", kFileColumns,
                           " FROM files WHERE owner = ? AND id = ? AND (expires = 0 OR expires > ?)"),
                      to_hex(owner), id, now),
      read_file);
  if (!found) return error_of(found);
  return found->empty() ? std::nullopt : std::optional(std::move(found->front()));
}

Expected<std::vector<FileRecord>> BatchStore::files(const RequestId& owner, const PageAsked& page,
                                                    std::int64_t now) {
  const std::string order =
      page.newest_first ? "serial < ?6 ORDER BY serial DESC" : "serial > ?6 ORDER BY serial";
  std::int64_t from = page.newest_first ? INT64_MAX : 0;
  if (!page.after.empty()) {
    const auto serial =
        database_.number("SELECT serial FROM files WHERE owner = ? AND id = ?", to_hex(owner), page.after);
    if (!serial) return tl::unexpected<Error>(serial.error());
    from = *serial;
  }
  return read_all<FileRecord>(
      database_.query(
          text("SELECT ", kFileColumns,
               " FROM files WHERE owner = ?1 AND (expires = 0 OR expires > ?2) AND (?3 = '' OR purpose = ?4) "
               "AND ?5 > 0 AND ",
               order + " LIMIT ?5"),
          to_hex(owner), now, page.purpose, page.purpose, page.limit, from),
      read_file);
}

Expected<BatchStore::Held> BatchStore::held(const RequestId& owner) {
  auto found = read_all<Held>(
      database_.query("SELECT count(*), total(bytes) FROM files WHERE owner = ?", to_hex(owner)),
      [](const Statement& row) {
        return Held{row.integer(0), row.integer(1)};
      });
  if (!found) return error_of(found);
  return found->front();
}

Expected<bool> BatchStore::remove_file(const RequestId& owner, const std::string& id) {
  TROUPE_TRY(database_.run("DELETE FROM files WHERE owner = ? AND id = ?", to_hex(owner), id));
  if (database_.changes() == 0) return false;
  ::unlink(content_of(id).c_str());
  return true;
}

Expected<bool> BatchStore::in_use(const std::string& file) {
  const auto found =
      database_.number(text("SELECT count(*) FROM batches WHERE input_file = ? AND NOT ", kEnded), file);
  if (!found) return tl::unexpected<Error>(found.error());
  return *found > 0;
}

Expected<void> BatchStore::add_batch(Batch& batch) {
  auto statement = database_.query(
      text("INSERT INTO batches(", kBatchColumns, ") VALUES(", std::string(kBatchMarks) + ")"));
  if (!statement) return error_of(statement);
  bind_batch(*statement, batch);
  TROUPE_TRY(statement->step());
  batch.serial = database_.last_key();
  return {};
}

Expected<void> BatchStore::save(const Batch& batch) {
  auto statement = database_.query(
      text("UPDATE batches SET (", kBatchColumns, ") = (", std::string(kBatchMarks) + ") WHERE serial = ?"));
  if (!statement) return error_of(statement);
  bind_batch(*statement, batch);
  statement->bind(kBatchColumnCount + 1, batch.serial);
  TROUPE_TRY(statement->step());
  return {};
}

Expected<std::optional<Batch>> BatchStore::batch(const RequestId& owner, const std::string& id) {
  auto found = read_all<Batch>(
      database_.query(text("SELECT ", kBatchColumns, ", serial FROM batches WHERE owner = ? AND id = ?"),
                      to_hex(owner), id),
      read_batch);
  if (!found) return error_of(found);
  return found->empty() ? std::nullopt : std::optional(std::move(found->front()));
}

Expected<std::vector<Batch>> BatchStore::batches(const RequestId& owner, const PageAsked& page) {
  std::int64_t from = INT64_MAX;
  if (!page.after.empty()) {
    const auto serial =
        database_.number("SELECT serial FROM batches WHERE owner = ? AND id = ?", to_hex(owner), page.after);
    if (!serial) return tl::unexpected<Error>(serial.error());
    from = *serial;
  }
  return read_all<Batch>(
      database_.query(
          text("SELECT ", kBatchColumns,
               ", serial FROM batches WHERE owner = ? AND serial < ? ORDER BY serial DESC LIMIT ?"),
          to_hex(owner), from, page.limit),
      read_batch);
}

Expected<std::vector<Batch>> BatchStore::open_batches() {
  return read_all<Batch>(database_.query(text("SELECT ", kBatchColumns, ", serial FROM batches WHERE NOT ",
                                              std::string(kEnded) + " ORDER BY serial")),
                         read_batch);
}

Expected<void> BatchStore::clear_lines(std::int64_t batch) {
  TROUPE_TRY(database_.run("DELETE FROM lines WHERE batch = ?", batch));
  return database_.run("DELETE FROM results WHERE batch = ?", batch);
}

Expected<bool> BatchStore::add_line(std::int64_t batch, const InputPlace& place) {
  TROUPE_TRY(
      database_.run("INSERT OR IGNORE INTO lines(batch, line, custom_id, start, length) VALUES(?,?,?,?,?)",
                    batch, place.line, place.custom_id, place.start, place.length));
  return database_.changes() == 1;
}

Expected<std::vector<InputPlace>> BatchStore::unanswered(std::int64_t batch, std::int64_t after,
                                                         std::int64_t most) {
  return read_all<InputPlace>(
      database_.query(
          "SELECT l.line, l.start, l.length, l.custom_id FROM lines l LEFT JOIN results r "
          "ON r.batch = l.batch AND r.line = l.line WHERE l.batch = ? AND l.line > ? AND r.line IS NULL "
          "ORDER BY l.line LIMIT ?",
          batch, after, most),
      [](const Statement& row) {
        return InputPlace{row.integer(0), row.integer(1), row.integer(2), row.text(3)};
      });
}

Expected<void> BatchStore::add_results(Batch& batch, const std::vector<LineResult>& results) {
  Batch counted = batch;
  auto transaction = Transaction::begin(database_);
  if (!transaction) return error_of(transaction);
  for (const LineResult& result : results) {
    TROUPE_TRY(database_.run("INSERT OR IGNORE INTO results(batch, line, failed, text) VALUES(?,?,?,?)",
                             batch.serial, result.line, int{result.failed}, result.text));
    if (database_.changes() == 0) continue;
    ++(result.failed ? counted.failed : counted.completed);
    counted.usage.prompt_tokens += result.usage.prompt_tokens;
    counted.usage.cached_tokens += result.usage.cached_tokens;
    counted.usage.completion_tokens += result.usage.completion_tokens;
    counted.usage.reasoning_tokens += result.usage.reasoning_tokens;
  }
  TROUPE_TRY(save(counted));
  TROUPE_TRY(transaction->commit());
  batch = std::move(counted);
  return {};
}

Expected<std::vector<LineResult>> BatchStore::results(std::int64_t batch, std::int64_t after,
                                                      std::int64_t most) {
  return read_all<LineResult>(
      database_.query(
          "SELECT line, failed, text FROM results WHERE batch = ? AND line > ? ORDER BY line LIMIT ?", batch,
          after, most),
      [](const Statement& row) {
        return LineResult{row.integer(0), row.integer(1) != 0, row.text(2), {}};
      });
}

Expected<void> BatchStore::finish(Batch& batch, FileWriter* output, FileWriter* errors, std::int64_t now) {
  Batch ended = batch;
  auto transaction = Transaction::begin(database_);
  if (!transaction) return error_of(transaction);
  const auto keep = [&](FileWriter* content, std::string_view kind, std::string& id) -> Expected<void> {
    if (content == nullptr) return {};
    auto file = add_file({"", batch.owner, batch.id + "_" + std::string(kind) + ".jsonl", "batch_output", 0,
                          now, batch.output_lifetime == 0 ? 0 : now + batch.output_lifetime},
                         *content);
    if (!file) return error_of(file);
    id = file->id;
    return {};
  };
  TROUPE_TRY(keep(output, "output", ended.output_file));
  TROUPE_TRY(keep(errors, "error", ended.error_file));
  TROUPE_TRY(clear_lines(batch.serial));
  ended.finished(now);
  TROUPE_TRY(save(ended));
  TROUPE_TRY(transaction->commit());
  batch = std::move(ended);
  return {};
}

Expected<void> BatchStore::sweep(std::int64_t now, std::int64_t ended_before) {
  const auto expired =
      read_all<std::string>(database_.query(text("SELECT id FROM files WHERE expires != 0 AND expires <= ? "
                                                 "AND id NOT IN (SELECT input_file FROM "
                                                 "batches WHERE NOT ",
                                                 std::string(kEnded) + ")"),
                                            now),
                            [](const Statement& row) { return row.text(0); });
  if (!expired) return tl::unexpected<Error>(expired.error());
  for (const std::string& id : *expired) {
    TROUPE_TRY(database_.run("DELETE FROM files WHERE id = ?", id));
    ::unlink(content_of(id).c_str());
  }
  return database_.run(text("DELETE FROM batches WHERE expires < ? AND ", kEnded), ended_before);
}

Expected<void> copy_batch_database(const fs::path& folder, const fs::path& to) {
  auto database = Database::open((folder / kBatchDatabase).string());
  if (!database) return error_of(database);
  return database->copy_to(to.string());
}

}  // namespace troupe::gateway
