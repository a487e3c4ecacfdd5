#pragma once
// The HTTP/1.1 edge (Boost.Beast wall: only http_*.cpp know it), plain or over TLS. One thread per event
// loop, connections dealt in turn. Keep-alive and pipelining, chunked bodies, Expect: 100-continue, limits on
// header, body, time and connections, CORS. A client that closes its sending side counts as gone.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

/// PEM files of HTTPS. An empty certificate: plain HTTP.
struct HttpTls {
  std::string certificate;  ///< and those between it and its authority
  std::string key;
  Duration look_every = std::chrono::seconds(1);  ///< whether they changed, while connections come
};

/// Of one request.
struct BodyLimit {
  std::size_t bytes = std::numeric_limits<std::size_t>::max();
  std::optional<ApiError> beyond = {};  ///< said of a longer body, in place of 413
  ErrorForm form = to_response;         ///< how that, or the 413, is written
  /// Where the body goes, piece by piece; null: it is read whole. Each piece has read_timeout to arrive.
  std::shared_ptr<BodySink> sink = nullptr;
};

/// What may be changed while a server runs (HttpServer::set_limits).
struct HttpLimits {
  std::size_t max_connections = 1024;                ///< one more is answered 503 at once
  std::size_t max_header_bytes = 16u << 10;          ///< 431 beyond
  std::size_t max_body_bytes = 8u << 20;             ///< 413 beyond, also chunked
  std::size_t max_buffered_bytes = 4u << 20;         ///< of an answer that its client does not read
  Duration read_timeout = std::chrono::seconds(30);  ///< from a request's first byte to its last; 408 beyond
  Duration idle_timeout = std::chrono::seconds(75);  ///< between requests; then closed without a word
  Duration write_timeout =
      std::chrono::seconds(30);  ///< for each piece written; then the client counts as gone
};

struct HttpOptions : HttpLimits {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one, see HttpServer::port()
  std::size_t threads = 1;
  /// How long a body a request may have, by its head alone (id and body are empty), and at most
  /// max_body_bytes unless it has a sink; empty: all may have that. Asked before a body is read. Threads: a connection's.
  std::function<BodyLimit(const Request& head)> body_limit = {};
  Duration fresh_grace =
      std::chrono::seconds(1);    ///< a stop waits so long for connections that asked nothing yet
  std::string cors_origin = "*";  ///< Access-Control-Allow-Origin; "" sends no CORS headers
  /// Told of every answer that the server gives by itself (408, 413, 431, 400, 503), with its status.
  std::function<void(int)> on_refusal = {};
  HttpTls tls = {};
  std::function<void()> on_failed_handshake = {};  ///< a client that spoke TLS, and not as it is spoken here
  std::function<void(bool)> on_certificate =
      {};  ///< changed files: taken (true), or not and the ones before stay
};

class HttpServer {
 public:
  /// Binds and listens; connections wait until run().
  /// Errors: address_in_use naming the port, config_invalid for an address that is none, io_failed, and of
  /// HttpOptions::tls file_not_found, file_malformed.
  [[nodiscard]] static Expected<std::unique_ptr<HttpServer>> open(HttpOptions options, Handler handler);
  /// open() and run().
  [[nodiscard]] static Expected<std::unique_ptr<HttpServer>> start(HttpOptions options, Handler handler);

  virtual ~HttpServer() = default;  ///< closes whatever is open
  /// Starts the threads; once.
  virtual void run() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;  ///< requests read but not yet answered in full
  [[nodiscard]] virtual bool draining() const = 0;
  /// For connections that come and requests that begin from now on; a request that is under way keeps those
  /// it began with, and so does a wait for the next one. Threads: any.
  virtual void set_limits(const HttpLimits& limits) = 0;

  /// Stops accepting, what the kernel holds excepted; from now on requests carry `draining`. Returns at once.
  /// Threads: any.
  virtual void begin_drain() = 0;
  /// begin_drain(), waits until nothing is in flight or `deadline` has passed (a connection that has not
  /// asked anything yet has `fresh_grace` to), then closes what is left and ends the threads. Returns whether
  /// everything ended by itself. Not to be called from a connection's thread.
  virtual bool stop(Duration deadline) = 0;
};

}  // namespace troupe::gateway
