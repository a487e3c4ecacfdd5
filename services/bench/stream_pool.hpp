#pragma once
// Many streamed answers at once on one thread: non-blocking sockets under one poll, kept open between
// requests, every piece of an answer stamped as it is read.
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/http/message.hpp"
#include "common/http/socket.hpp"

namespace troupe::load {

/// How an answer ended. An error of the connection or of time has status 0 or that of the header it got.
struct StreamEnd {
  int status = 0;
  std::optional<Error> error;
  std::string body;  ///< of an answer that is no event stream, its first 64 KiB
};

class StreamSink {
 public:
  virtual ~StreamSink() = default;
  /// An event's data; `at` is when its last bytes were read.
  virtual void on_event(std::uint64_t id, std::string_view data, TimePoint at) = 0;
  virtual void on_end(std::uint64_t id, const StreamEnd& end, TimePoint at) = 0;
};

struct StreamLimits {
  Duration connect = std::chrono::seconds(10);
  Duration answer = std::chrono::minutes(10);  ///< from start() to the end
};

/// Threads: one.
class StreamPool {
 public:
  /// Looks the host up. `trust`: of an https URL. Errors: peer_lost.
  [[nodiscard]] static Expected<StreamPool> make(const Url& url, const StreamLimits& limits,
                                                 std::shared_ptr<const TlsTrust> trust = nullptr);
  StreamPool(StreamPool&&) noexcept;
  ~StreamPool();  ///< closes everything: servers see their clients go

  /// Sends `request` on a kept connection, or a new one. What fails is told to the sink by poll().
  void start(std::uint64_t id, const HttpRequest& request);
  /// Waits until something happened, at most until `until`, and tells `sink`; several pools in one wait are
  /// not needed since blocks never overlap. False when `interrupt_fd` became readable. The sink may call
  /// start().
  [[nodiscard]] bool poll(TimePoint until, int interrupt_fd, StreamSink& sink);
  [[nodiscard]] std::size_t open() const;  ///< answers not ended yet
  /// Ends every open answer with cancelled.
  void cancel_all(StreamSink& sink);

  struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
  };

 private:
  class Connection;
  StreamPool(Url url, const StreamLimits& limits, std::vector<Address> addresses,
             std::shared_ptr<const TlsTrust> trust);
  void step(std::size_t index, short events, StreamSink& sink);
  void finish(std::size_t index, const StreamEnd& end, TimePoint at, StreamSink& sink);

  Url url_;
  StreamLimits limits_;
  std::vector<Address> addresses_;
  std::shared_ptr<const TlsTrust> trust_;  // connections use it; null: plain HTTP
  std::vector<std::unique_ptr<Connection>> busy_;
  std::vector<HttpSocket> idle_;
};

}  // namespace troupe::load
