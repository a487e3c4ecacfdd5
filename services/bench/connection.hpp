#pragma once
// One request on one socket, as a state machine that never waits. StreamPool drives it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/chunked.hpp"
#include "common/http/message.hpp"
#include "common/http/socket.hpp"
#include "common/http/sse.hpp"
#include "services/bench/stream_pool.hpp"

namespace troupe::load {

class StreamPool::Connection {
 public:
  /// `kept`: an idle connection, or none.
  Connection(std::uint64_t id, std::string request, const StreamPool& pool, HttpSocket kept);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] short wanted() const { return wanted_; }  ///< POLLIN or POLLOUT
  [[nodiscard]] bool connecting() const { return state_ == State::connecting; }
  [[nodiscard]] int status() const { return head_.status; }

  /// Goes as far as it can without waiting. The end when the answer is over, well or not.
  [[nodiscard]] std::optional<StreamEnd> step(StreamSink& sink);
  /// The connection, when it may carry another request; none otherwise.
  [[nodiscard]] HttpSocket release_if_kept();
  [[nodiscard]] StreamEnd failed(Errc code, std::string detail) const;
  TimePoint started{};

 private:
  enum class State : std::uint8_t { connecting, sending, head, body };
  void connect();  ///< to the next address; socket_ stays none when none is left
  [[nodiscard]] std::optional<StreamEnd> step_connecting();
  [[nodiscard]] std::optional<StreamEnd> step_sending();
  [[nodiscard]] std::optional<StreamEnd> step_reading(StreamSink& sink);
  [[nodiscard]] std::optional<StreamEnd> take(std::string_view bytes, TimePoint at, StreamSink& sink);
  [[nodiscard]] std::optional<StreamEnd> take_body(std::string_view bytes, TimePoint at, StreamSink& sink);
  [[nodiscard]] std::optional<StreamEnd> closed(const std::string& why);
  void wait(const Moved& moved);
  [[nodiscard]] bool whole() const;

  std::uint64_t id_;
  std::string request_;
  const StreamPool& pool_;
  std::size_t next_address_ = 0;
  HttpSocket socket_;
  short wanted_;
  bool kept_;  ///< it carried another request before
  int connect_error_ = 0;
  State state_;
  std::size_t sent_ = 0;
  std::string head_text_;
  HttpHead head_;
  ChunkedDecoder chunked_;
  std::uint64_t body_left_ = 0;
  bool events_ = false;  ///< the body is an event stream
  SseParser parser_;
  std::string body_;
};

}  // namespace troupe::load
