#pragma once
// Records of requests, so that an answer can be made again: at this gateway from its own table, at another
// one from the directory they share. A directory that is away costs what others would have found there,
// nothing else.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/directory/memory_directory.hpp"
#include "common/metrics/registry.hpp"
#include "common/wire/messages.hpp"

namespace troupe::gateway {

struct RequestStoreOptions {
  Duration record_time = std::chrono::hours(1);  ///< from a request's arrival on
  std::size_t table_bytes = 64u << 20;           ///< of this gateway's own table
  std::size_t max_body_bytes = 4u << 20;         ///< longer requests are not recorded
};

struct RecordMetrics {
  RecordMetrics() = default;  ///< counts nowhere
  explicit RecordMetrics(metrics::Registry& registry);
  metrics::Counter kept, repeated, resumed, unknown, lost;
  metrics::Gauge reachable;
};

/// Every answer comes once, from a directory's thread or before the call returns, and never waits longer than
/// the directory's deadline. Threads: any.
class RequestStore {
 public:
  /// `shared` may be null: then only this gateway's table is asked. `clock` must outlive it.
  RequestStore(const RequestStoreOptions& options, const Clock& clock,
               std::unique_ptr<directory::Directory> shared, RecordMetrics metrics = {});
  ~RequestStore();

  [[nodiscard]] const RequestStoreOptions& options() const { return options_; }

  /// Keeps a record. `done` runs when it is as safe as it will be.
  void keep(const wire::RequestRecord& record, std::function<void()> done);

  /// Forgets a record that was kept without a key: nothing of its answer was sent.
  void drop(const RequestId& id);

  struct Claim {
    bool own = false;            ///< the request is the first under its key
    wire::RequestRecord record;  ///< of the first
  };
  /// Keeps a record under a client's key, unless another came first: of two that come at once, at one gateway
  /// or at two, one is first. `key` is owner and key, hashed.
  void claim(const RequestId& key, wire::RequestRecord record, std::function<void(Claim)> done);

  /// Errors: request_unknown.
  void find(const RequestId& id, std::function<void(Expected<wire::RequestRecord>)> done);

  /// Cached tokens are what the schedule makes of them: the first to report them for a request decides for
  /// all.
  void agree_cached(const RequestId& id, std::uint64_t mine, std::function<void(std::uint64_t)> done);

  /// Asks the directory nothing more; what is open is answered. For the end of whoever is called back.
  void close();

  /// What it shares with other gateways, until close(); may be null.
  [[nodiscard]] directory::Directory* shared() const { return shared_.get(); }

  void count_resumed() const { metrics_.resumed.add(); }
  /// For metrics.
  void refresh() const;

 private:
  struct Settling;
  void settle(const RequestId& key, const std::shared_ptr<Settling>& settling, wire::RequestRecord first,
              bool own);
  void adopt(const RequestId& key, const std::shared_ptr<Settling>& settling, const std::string& holder);
  void put_shared(const directory::Key& key, std::string value, std::function<void()> done);
  [[nodiscard]] std::optional<wire::RequestRecord> own_record(const RequestId& id);

  const RequestStoreOptions options_;
  directory::MemoryDirectory table_;
  const RecordMetrics metrics_;

  std::mutex mutex_;
  std::map<RequestId, std::shared_ptr<Settling>> settling_;  ///< keys whose first request is being found out

  std::unique_ptr<directory::Directory> shared_;  // ends first: its answers come here
};

}  // namespace troupe::gateway
