#include "services/gateway/batches/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::gateway {
namespace {

constexpr int kBusyMilliseconds = 10'000;  // a backup that reads holds nobody up for long

tl::unexpected<Error> failed(sqlite3* handle) {
  return fail(Errc::io_failed, std::string("the batch database: ") +
                                   (handle != nullptr ? sqlite3_errmsg(handle) : "out of memory"));
}

}  // namespace

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Expected<bool> Statement::step() {
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return failed(sqlite3_db_handle(handle_));
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

void Statement::bind(int at, std::string_view text) {
  // A failure shows in step(): the parameter is NULL then, and no column that takes a text may be.
  (void)sqlite3_bind_text64(handle_, at, text.empty() ? "" : text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8);
}

void Statement::bind_integer(int at, std::int64_t number) {
  (void)sqlite3_bind_int64(handle_, at, number);
}

Expected<Database> Database::open(const std::string& path) {
  // SQLite would make it with whatever the mask allows.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(Errc::io_failed, path + ": " + std::strerror(errno));
  ::close(file);
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  if (result != SQLITE_OK) return failed(handle);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  return database;
}

Database::~Database() {
  sqlite3_close(handle_);
}

Expected<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return failed(handle_);
  return {};
}

Expected<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
    return failed(handle_);
  return Statement(statement);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

std::int64_t Database::last_key() const {
  return sqlite3_last_insert_rowid(handle_);
}

Expected<void> Database::copy_to(const std::string& path) {
  auto target = open(path);
  if (!target) return tl::unexpected<Error>(std::move(target.error()));
  sqlite3_backup* backup = sqlite3_backup_init(target->handle_, "main", handle_, "main");
  if (backup == nullptr) return failed(target->handle_);
  const int result = sqlite3_backup_step(backup, -1);
  (void)sqlite3_backup_finish(backup);
  if (result != SQLITE_DONE) return failed(target->handle_);
  // One file, whatever the journal of the original is.
  return target->execute("PRAGMA journal_mode = DELETE");
}

Expected<Transaction> Transaction::begin(Database& database) {
  TROUPE_TRY(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) (void)database_->execute("ROLLBACK");
}

Expected<void> Transaction::commit() {
  TROUPE_TRY(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace troupe::gateway
