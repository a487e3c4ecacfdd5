#pragma once
// One connection of an HTTP server (the Beast wall): reads requests, hands them to the routes, writes what
// they answer. All of its state is touched by its loop's thread only.
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>

#include <boost/asio.hpp>

#include "services/gateway/http_server.hpp"
#include "services/gateway/http_stream.hpp"

namespace troupe::gateway {

class HttpConnection;

/// An event loop and the connections that live on it.
struct HttpLoop {
  boost::asio::io_context context{1};
  std::unordered_set<HttpConnection*> connections;  ///< touched by the loop's thread
  std::thread thread;
};

/// What connections share with the server.
struct HttpShared {
  HttpOptions options;
  Handler handler;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> lingering{0};
  std::atomic<std::size_t> in_flight{0};
  std::atomic<std::size_t> fresh{0};  ///< connections whose first request is still to come
  std::atomic<bool> draining{false};
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  std::condition_variable idle;  ///< one of the counters went down
  HttpLimits now;                ///< the limits in force, guarded by mutex

  HttpLimits limits() const {
    const std::lock_guard lock(mutex);
    return now;
  }
  void set_limits(const HttpLimits& limits) {
    const std::lock_guard lock(mutex);
    now = limits;
  }
  void leave(std::atomic<std::size_t>& counter) {
    {
      const std::lock_guard lock(mutex);
      --counter;
    }
    idle.notify_all();
  }
};

/// Serves a connection on its loop until it ends. `tls` is null on a plain port. Threads: any.
void serve_connection(HttpLoop& loop, std::shared_ptr<HttpShared> shared, boost::asio::ip::tcp::socket socket,
                      std::shared_ptr<HttpStream::Context> tls);
/// Ends all connections of a loop, whatever they do. Threads: any.
void close_connections(HttpLoop& loop);

}  // namespace troupe::gateway
