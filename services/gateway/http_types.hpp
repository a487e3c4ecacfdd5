#pragma once
// What a route sees of HTTP: a request that was read whole, and a writer for the answer. No networking
// library shows here.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::gateway {

struct Header {
  std::string name;
  std::string value;
};

/// Takes a long body as it arrives, in place of Request::body: it is never held whole.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// The next piece; it is kept elsewhere, so nothing here blocks. `taken` runs once, on any thread, when
  /// another piece may come.
  virtual void take(std::string piece, std::function<void()> taken) = 0;
};

struct Request {
  RequestId id;        ///< made here; sent back as x-request-id
  std::string method;  ///< "GET"; a HEAD request shows as GET, its body is dropped on the way out
  std::string path;    ///< percent-encoded as it came, without the query
  std::string query;
  std::vector<Header> headers;
  std::string body;
  std::shared_ptr<BodySink> sink = nullptr;  ///< has the whole body, where its path has one
  bool draining = false;  ///< the server finishes what it has: routes that start work answer 503

  /// Value of the first header of that name (any case); "" when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

/// "%2F" as "/"; what is no escape stays.
[[nodiscard]] std::string percent_decoded(std::string_view text);
/// The value of a query's parameter as it came; nothing when it is not there.
[[nodiscard]] std::optional<std::string_view> query_parameter(std::string_view query, std::string_view name);

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<Header>
      headers;  ///< beyond content-type, content-length, date, x-request-id, CORS and connection
};

/// The answer to one request. Either respond() once, or start_stream(), any number of write() and finish().
/// A writer that is dropped without an end answers 500, or breaks the stream so that the client sees that it
/// is not whole. Threads: any; calls for one writer come one after another.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  /// The answer is that of an earlier request: its id is sent as x-request-id. Before the answer's head.
  virtual void answer_for(const RequestId& id) = 0;
  /// Fields of the answer's head besides its own, in place of those given before. Before that head.
  virtual void answer_with(std::vector<Header> fields) = 0;
  virtual void respond(Response response) = 0;
  virtual void start_stream(int status, std::string_view content_type) = 0;
  /// Queues bytes; what waits is sent in one piece. False when the client is gone or has let more than
  /// `max_buffered_bytes` pile up (which counts as gone).
  virtual bool write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  [[nodiscard]] virtual bool gone() const = 0;
  /// Bytes that the connection has not taken yet: it still sends what came before.
  [[nodiscard]] virtual std::size_t waiting() const = 0;
  /// `callback` runs once, on the connection's thread, when the client goes away before the answer's end; at
  /// once if it has gone already.
  virtual void on_gone(std::function<void()> callback) = 0;
  /// Runs `task` on the connection's thread, in order; dropped when the connection has ended.
  virtual void post(std::function<void()> task) = 0;
};

/// Called on a connection's thread; must not block.
using Handler = std::function<void(Request, std::shared_ptr<ResponseWriter>)>;

}  // namespace troupe::gateway
