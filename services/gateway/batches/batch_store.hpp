#pragma once
// What files and batches are kept in: one folder with a database (metadata, lines, results) and a file for
// each file's content. One gateway has it at a time. Killed at any moment, it holds what was committed: a
// result is there whole or not at all, and there is one of each line.
//
//   FOLDER/lock            held as long as the store is open
//   FOLDER/batches.sqlite  write-ahead log beside it
//   FOLDER/files/file-...  contents, by ids made here: names that clients gave are data, never paths
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/gateway/batches/batch.hpp"
#include "services/gateway/batches/sqlite.hpp"
#include "services/gateway/batches/stored_file.hpp"

namespace troupe::gateway {

inline constexpr const char* kBatchDatabase = "batches.sqlite";

struct FileRecord {
  std::string id;  ///< "file-" and 32 hex digits
  RequestId owner;
  std::string name;  ///< what the client called it
  std::string purpose;
  std::int64_t bytes = 0;
  std::int64_t created = 0;  ///< Unix seconds, as the next
  std::int64_t expires = 0;  ///< 0: never
};

/// A page of a list, as the API asks for it.
struct PageAsked {
  std::string after;  ///< id of the last one seen; "": from the beginning
  std::int64_t limit = 20;
  bool newest_first = true;
  std::string purpose;  ///< of files; "": any
};

struct InputPlace {
  std::int64_t line = 0;   ///< in the file, from 1
  std::int64_t start = 0;  ///< bytes
  std::int64_t length = 0;
  std::string custom_id;
};

struct LineResult {
  std::int64_t line = 0;
  bool failed = false;
  std::string text;  ///< a line of the output or error file
  BatchUsage usage = {};
};

/// Errors of all calls: io_failed. Threads: one at a time.
class BatchStore {
 public:
  /// Makes the folder unless it is there, takes up what was left and removes contents that nothing names.
  /// Errors: also where another gateway has it; file_unsupported where a later release made it.
  [[nodiscard]] static Expected<BatchStore> open(const std::filesystem::path& folder);

  // Files. Those that have expired are not there.
  /// A content that comes in; it is none of the store's until add_file().
  [[nodiscard]] Expected<FileWriter> new_content() const;
  /// Keeps a content under an id of its own, which it returns.
  [[nodiscard]] Expected<FileRecord> add_file(FileRecord record, FileWriter& content);
  [[nodiscard]] Expected<std::optional<FileRecord>> file(const RequestId& owner, const std::string& id,
                                                         std::int64_t now);
  [[nodiscard]] Expected<std::vector<FileRecord>> files(const RequestId& owner, const PageAsked& page,
                                                        std::int64_t now);
  struct Held {
    std::int64_t files = 0, bytes = 0;
  };
  [[nodiscard]] Expected<Held> held(const RequestId& owner);
  [[nodiscard]] Expected<bool> remove_file(const RequestId& owner, const std::string& id);
  [[nodiscard]] std::filesystem::path content_of(const std::string& id) const {
    return folder_ / "files" / id;
  }
  /// Whether a batch that has not ended reads it.
  [[nodiscard]] Expected<bool> in_use(const std::string& file);

  // Batches.
  /// A new one gets its serial.
  [[nodiscard]] Expected<void> add_batch(Batch& batch);
  [[nodiscard]] Expected<void> save(const Batch& batch);
  [[nodiscard]] Expected<std::optional<Batch>> batch(const RequestId& owner, const std::string& id);
  [[nodiscard]] Expected<std::vector<Batch>> batches(const RequestId& owner, const PageAsked& page);
  /// Those that have not ended, earliest first.
  [[nodiscard]] Expected<std::vector<Batch>> open_batches();

  // Lines.
  /// Forgets the lines of a batch: its input is read anew.
  [[nodiscard]] Expected<void> clear_lines(std::int64_t batch);
  /// False where the batch has that custom_id already.
  [[nodiscard]] Expected<bool> add_line(std::int64_t batch, const InputPlace& place);
  /// Lines after `after` that have no result, in order.
  [[nodiscard]] Expected<std::vector<InputPlace>> unanswered(std::int64_t batch, std::int64_t after,
                                                             std::int64_t most);
  /// All of them, or none. Counts them in the batch; a line that has a result keeps it, and is not counted
  /// again.
  [[nodiscard]] Expected<void> add_results(Batch& batch, const std::vector<LineResult>& results);
  /// Results after line `after`, in order.
  [[nodiscard]] Expected<std::vector<LineResult>> results(std::int64_t batch, std::int64_t after,
                                                          std::int64_t most);

  /// The batch has ended, with these files; its lines and results are not needed any more. All of it, or
  /// none. `output` and `errors` may be null.
  [[nodiscard]] Expected<void> finish(Batch& batch, FileWriter* output, FileWriter* errors, std::int64_t now);

  /// Removes files that have expired and batches that ended before `ended_before`.
  [[nodiscard]] Expected<void> sweep(std::int64_t now, std::int64_t ended_before);
  /// Several writes as one.
  [[nodiscard]] Expected<Transaction> transaction() { return Transaction::begin(database_); }

 private:
  BatchStore(std::filesystem::path folder, FolderLock lock, Database database)
      : folder_(std::move(folder)), lock_(std::move(lock)), database_(std::move(database)) {}
  [[nodiscard]] Expected<void> remove_strangers();

  std::filesystem::path folder_;
  FolderLock lock_;
  Database database_;
};

/// A copy of a store's database as it is now, whoever has the store. Errors: io_failed.
[[nodiscard]] Expected<void> copy_batch_database(const std::filesystem::path& folder,
                                                 const std::filesystem::path& to);

}  // namespace troupe::gateway
