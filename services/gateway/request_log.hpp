#pragma once
// What became of the last requests, stage by stage, for those who look at them live. It holds no text and no
// whole request id: who knows that may ask for the stream.
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::gateway {

/// One request. Times are milliseconds since the log's start, -1 when the stage has not ended.
struct RequestRow {
  std::uint64_t number = 0;  ///< counts up by one per request
  RequestId id;
  std::string model;
  bool chat = false, stream = false;
  double arrived = -1;
  double prepared = -1;  ///< read, its template rendered, tokenized
  double placed = -1;    ///< its order is on the way to a worker; the last time, if it was replayed
  double started = -1;   ///< its first token came
  double ended = -1;
  std::string decode, prefill;  ///< names of its workers; prefill may be empty
  std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  std::uint32_t placements = 0;  ///< beyond one: it was moved or replayed
  int status = 0;                ///< HTTP's, once it has ended; 499: its client went away
};

/// Keeps the last `keep` requests. Threads: any.
class RequestLog {
 public:
  static constexpr std::size_t kKeep = 10'000;
  /// Between two changes that only count tokens.
  static constexpr double kTokenPauseMs = 250;

  explicit RequestLog(std::size_t keep = kKeep, TimePoint start = std::chrono::steady_clock::now())
      : keep_(keep), start_(start) {}

  struct Arrival {
    RequestId id;
    std::string model;
    bool chat = false, stream = false;
    TimePoint arrived;
    std::uint64_t prompt_tokens = 0;
  };
  void prepared(Arrival arrival, TimePoint now);
  /// A request that is not in the log is ignored, here and below.
  void placed(const RequestId& id, std::string decode, std::string prefill, TimePoint now);
  void started(const RequestId& id, std::uint64_t cached_tokens, TimePoint now);
  void tokens(const RequestId& id, std::uint64_t more, TimePoint now);
  void ended(const RequestId& id, int status, std::uint64_t completion_tokens, TimePoint now);

  /// Rows that changed after `change`, the least recently changed first, at most `most`; `change` becomes
  /// that of the last.
  [[nodiscard]] std::vector<RequestRow> changed_since(std::uint64_t& change, std::size_t most) const;
  [[nodiscard]] double milliseconds(TimePoint at) const;

 private:
  struct Entry {
    RequestRow row;
    std::uint64_t change = 0;
    double told_tokens = 0;  ///< when counting tokens last was a change
  };
  [[nodiscard]] Entry* find(const RequestId& id);
  void touch(Entry& entry);

  const std::size_t keep_;
  const TimePoint start_;
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;                             // by number
  std::unordered_map<RequestId, std::uint64_t> numbers_;  // of those in entries_
  std::map<std::uint64_t, std::uint64_t> changes_;        // change to number
  std::uint64_t change_ = 0;
  std::uint64_t next_ = 1;
};

/// Names of what append_row() writes, in its order.
inline constexpr std::array<std::string_view, 17> kRowColumns{
    "number",     "id",       "model",         "chat",          "stream",
    "arrived",    "prepared", "placed",        "started",       "ended",
    "decode",     "prefill",  "prompt_tokens", "cached_tokens", "completion_tokens",
    "placements", "status"};
/// A JSON array.
void append_row(std::string& out, const RequestRow& row);

}  // namespace troupe::gateway
