#pragma once
// The SQLite wall: a connection and its statements, with errors as values. Only sqlite.cpp knows the library.
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace troupe::gateway {

/// One statement with its values bound. Must go before its connection does.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  /// Whether there is a row to read; false: it is done. Errors: io_failed.
  [[nodiscard]] Expected<bool> step();

  // Of the row that step() has reached; columns count from 0. NULL reads as 0 and as "".
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;

  // Parameters count from 1.
  void bind(int at, std::string_view text);
  void bind(int at, std::integral auto number) { bind_integer(at, static_cast<std::int64_t>(number)); }
  void bind(int at, const std::optional<std::int64_t>& number) {
    if (number) bind_integer(at, *number);  // unbound is NULL
  }

 private:
  void bind_integer(int at, std::int64_t number);

  sqlite3_stmt* handle_;
};

/// A connection to one file. Threads: one at a time.
class Database {
 public:
  /// Makes the file, closed to other users, unless it is there. Errors: io_failed.
  [[nodiscard]] static Expected<Database> open(const std::string& path);
  Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Database& operator=(Database&&) = delete;
  ~Database();

  /// Any number of statements without values. Errors: io_failed.
  [[nodiscard]] Expected<void> execute(const std::string& sql);
  /// One statement, its values bound in order. Errors: io_failed.
  template <class... Values>
  [[nodiscard]] Expected<Statement> query(std::string_view sql, const Values&... values) {
    auto statement = prepare(sql);
    [[maybe_unused]] int at = 0;
    if (statement) (statement->bind(++at, values), ...);
    return statement;
  }
  /// A statement that has no rows. Errors: io_failed.
  template <class... Values>
  [[nodiscard]] Expected<void> run(std::string_view sql, const Values&... values) {
    auto statement = query(sql, values...);
    if (!statement) return tl::unexpected<Error>(std::move(statement.error()));
    if (auto done = statement->step(); !done) return tl::unexpected<Error>(std::move(done.error()));
    return {};
  }
  /// The one number that a statement gives; 0 where it has no row. Errors: io_failed.
  template <class... Values>
  [[nodiscard]] Expected<std::int64_t> number(std::string_view sql, const Values&... values) {
    auto statement = query(sql, values...);
    if (!statement) return tl::unexpected<Error>(std::move(statement.error()));
    auto row = statement->step();
    if (!row) return tl::unexpected<Error>(std::move(row.error()));
    return *row ? statement->integer(0) : 0;
  }

  /// Rows that the last INSERT, UPDATE or DELETE has changed.
  [[nodiscard]] std::int64_t changes() const;
  /// Key of the last row that was inserted.
  [[nodiscard]] std::int64_t last_key() const;
  /// All of it as it is now, in a new file: also while another process writes. Errors: io_failed.
  [[nodiscard]] Expected<void> copy_to(const std::string& path);

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  [[nodiscard]] Expected<Statement> prepare(std::string_view sql);

  sqlite3* handle_;
};

/// Writes of its time become one, or none.
class Transaction {
 public:
  /// Errors: io_failed.
  [[nodiscard]] static Expected<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  /// Errors: io_failed; then none of it has happened.
  [[nodiscard]] Expected<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace troupe::gateway
