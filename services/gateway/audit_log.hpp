#pragma once
// Who asked what when, one JSON object a line: never a prompt, an answer or a key. Requests do not wait for
// the disk: lines are queued, and what a full queue or a disk that refuses costs is counted.
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"

namespace troupe::gateway {

struct AuditEntry {
  RequestId request;
  std::string key;         ///< its name; "" for none
  std::string_view route;  ///< one of kRouteNames
  std::string target;      ///< of an order: its path
  std::string model;       ///< that answered; "" when it did not come so far
  int status = 0;          ///< 499: the client left; 0: broken off after its head was sent
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  double seconds = 0;  ///< from arrival to end
};

/// {"time":"2026-11-30T07:00:00.123Z","request":"...",...}, with a line's end. `unix_ms`: when it ended.
[[nodiscard]] std::string audit_line(const AuditEntry& entry, std::int64_t unix_ms);

/// Where lines go.
struct AuditTarget {
  std::string target;                   ///< a file; "log": lines of the log; "": nowhere
  std::uint64_t max_bytes = 64U << 20;  ///< then the file becomes FILE.1, in place of the one before

  bool operator==(const AuditTarget&) const = default;
};

struct AuditOptions : AuditTarget {
  std::size_t queue = 4096;                ///< lines that wait for the disk
  std::function<void(bool)> on_line = {};  ///< written (true), or lost. Threads: any
};

/// Threads: any.
class AuditLog {
 public:
  /// Errors: io_failed when the file cannot be opened.
  [[nodiscard]] static Expected<std::unique_ptr<AuditLog>> open(AuditOptions options);
  ~AuditLog();  ///< writes what waits

  void add(const AuditEntry& entry);
  /// Lines that come from now on go there, those of before where they would have gone. A file is opened by
  /// its name again even when it is the one of before: somebody may have moved it away. Threads: one at a
  /// time. Errors: io_failed when the file cannot be opened; then nothing changes.
  [[nodiscard]] Expected<void> turn_to(AuditTarget next);
  /// The same, to where lines go already; what fails is logged.
  void reopen();

 private:
  struct Turn {
    std::size_t after;  ///< so many of the lines that wait
    AuditTarget to;
  };
  explicit AuditLog(AuditOptions options);
  [[nodiscard]] Expected<void> open_file();
  void run();
  void turn(const AuditTarget& next);
  void write(std::span<const std::string> lines);
  [[nodiscard]] bool write_line(std::string_view line);
  void lost(std::size_t lines, std::string_view why);

  const std::size_t queue_;
  const std::function<void(bool)> on_line_;
  AuditTarget written_;  // where lines are written; the thread's once it runs, as the next three
  int file_ = -1;
  std::uint64_t bytes_ = 0;
  bool complained_ = false;
  std::mutex mutex_;
  std::condition_variable news_;
  AuditTarget target_;                // of lines that come
  std::vector<std::string> waiting_;  // for a file
  std::vector<Turn> turns_;
  bool stopping_ = false;
  std::thread thread_;  // runs from the first file on
};

}  // namespace troupe::gateway
