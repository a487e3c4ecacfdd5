#pragma once
// The events behind the dashboard: one server-sent stream per page that is open, each as fast as its reader.
//
//   sources (picture, request log, the gateway's own state)  ->  LiveCursor, one per page  ->  writer
//
// Nothing is queued for a page: a cursor remembers what it has told and tells the difference when the last
// piece has left, so a slow reader skips states and costs no memory.
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "services/gateway/cluster_console.hpp"
#include "services/gateway/http_types.hpp"
#include "services/gateway/request_log.hpp"

namespace troupe::gateway {

/// What there is to tell now.
struct LiveSources {
  std::shared_ptr<const ClusterPicture> picture;  ///< null: the cluster cannot be seen from here
  const std::string& cluster_json;                ///< of that picture
  const RequestLog& log;
  const std::string& gateway_json;
  const std::string& hello_json;
  double log_ms = 0;  ///< now, on the log's clock
};

/// What one page knows already. Plain: no clock, no thread.
class LiveCursor {
 public:
  /// Rows in one event; what is left comes with the next.
  static constexpr std::size_t kRowsAtOnce = 1000;
  /// Events for what changed since the last call; empty when nothing did. The first two are `hello` and `clock`.
  [[nodiscard]] std::string next(const LiveSources& now);

 private:
  bool greeted_ = false;
  std::uint64_t picture_ = 0, placements_ = 0, rows_ = 0;
  std::string gateway_;
};

/// {"router":"...","joined":true,"nodes":[...]}
[[nodiscard]] std::string to_json(const ClusterPicture& picture);

struct LiveOptions {
  Duration pause = std::chrono::milliseconds(250);  ///< between looks at the sources
  Duration watch_every = std::chrono::milliseconds(750);
  Duration alive_every =
      std::chrono::seconds(5);  ///< a comment, so that nobody between takes the stream for dead
  std::size_t max_pages = 64;
};

/// Serves the open pages from a thread of its own, which sleeps while there are none. Threads: any.
class LiveFeed {
 public:
  /// `console` may be null; it, `log` and `gateway_json` must outlive the feed. `gateway_json` is called by
  /// its thread.
  LiveFeed(ClusterConsole* console, const RequestLog& log, std::function<std::string()> gateway_json,
           std::string hello_json, LiveOptions options = {});
  ~LiveFeed();
  LiveFeed(const LiveFeed&) = delete;
  LiveFeed& operator=(const LiveFeed&) = delete;

  /// Takes a page in: its answer begins at once. false: there are too many, or the feed has ended; nothing
  /// was written.
  [[nodiscard]] bool open(std::shared_ptr<ResponseWriter> writer);
  /// Ends every stream, and takes no more: a gateway that drains would wait for them.
  void close();
  [[nodiscard]] std::size_t pages() const;

 private:
  struct Page {
    std::shared_ptr<ResponseWriter> writer;
    LiveCursor cursor;
    TimePoint told;
  };
  void work();
  void look(std::list<Page>& pages);

  ClusterConsole* const console_;
  const RequestLog& log_;
  const std::function<std::string()> gateway_json_;
  const std::string hello_json_;
  const LiveOptions options_;
  std::shared_ptr<const ClusterPicture> picture_;  // the thread's, as are the next three
  std::string cluster_json_;
  TimePoint watch_at_{};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Page> coming_;
  std::size_t pages_ = 0;
  bool closed_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::gateway
