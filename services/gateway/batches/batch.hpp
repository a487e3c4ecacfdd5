#pragma once
// A batch as OpenAI has it: a file of requests that are answered within a day, and what becomes of it.
//
//   validating ─▶ in_progress ─▶ finalizing ─▶ completed
//        │             │              └──────▶ expired      (its window ended; what was answered is there)
//        │             └─▶ cancelling ───────▶ cancelled    (likewise)
//        └─▶ failed    (of the input; cancelling works here, too)
//
// No clock and no store: every change is told the time, and whoever keeps the batch writes it down.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

enum class BatchStatus : std::uint8_t {
  validating,
  failed,
  in_progress,
  finalizing,
  completed,
  expired,
  cancelling,
  cancelled
};
inline constexpr std::array<std::string_view, 8> kBatchStatusNames{
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"};

/// What is wrong with the input. `line` counts from 1; 0: with all of it.
struct BatchError {
  std::string code;
  std::string message;
  std::string param;
  std::int64_t line = 0;
};
inline constexpr std::size_t kMostBatchErrors = 100;  ///< further ones are not listed

struct BatchUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t reasoning_tokens = 0;
};

struct Batch {
  std::int64_t serial = 0;  ///< the store's; later ones are larger
  std::string id;           ///< "batch_" and 32 hex digits
  RequestId owner;          ///< whose it is
  std::string tenant;       ///< whose share of the cluster its lines take
  std::string key;          ///< name of the API key that made it; "": there were none
  std::string input_file;
  std::string endpoint;  ///< "/v1/chat/completions"
  std::string model;     ///< of all lines; "" until it is known
  std::string metadata;  ///< a JSON object, or "null"
  BatchStatus status = BatchStatus::validating;
  std::array<std::int64_t, kBatchStatusNames.size()> entered{};  ///< Unix seconds of each status; 0: never
  std::int64_t expires = 0;                                      ///< Unix seconds: no line begins after it
  std::int64_t output_lifetime = 0;                              ///< seconds that its files are kept
  bool ran_out = false;                                          ///< its window ended before its lines did
  std::int64_t total = 0, completed = 0, failed = 0;             ///< lines
  BatchUsage usage;
  std::string output_file, error_file;  ///< "": there is none
  std::string errors = "[]";            ///< of the input: a JSON list

  [[nodiscard]] std::int64_t since(BatchStatus which) const {
    return entered[static_cast<std::size_t>(which)];
  }
  /// Nothing more will happen to it.
  [[nodiscard]] bool ended() const;
  /// Whether lines of it may begin.
  [[nodiscard]] bool may_run(std::int64_t now) const {
    return status == BatchStatus::in_progress && now < expires;
  }

  /// A new one enters its first status.
  void begin(std::int64_t now, std::int64_t window_seconds);
  /// Its input has been read: `lines` of them are good, unless there are errors.
  void validated(std::int64_t lines, const std::vector<BatchError>& found, std::int64_t now);
  /// Errors: 400 where it has ended, or is about to.
  [[nodiscard]] Parsed<void> cancel(std::int64_t now);
  /// Looks whether its results can be written out: no line is left, none may begin, and none runs.
  /// True at once after a restart in that status.
  [[nodiscard]] bool settle(std::int64_t running, std::int64_t now);
  /// They have been.
  void finished(std::int64_t now);

 private:
  void enter(BatchStatus next, std::int64_t now);
};

/// As the API shows it.
[[nodiscard]] std::string to_json(const Batch& batch);

}  // namespace troupe::gateway
