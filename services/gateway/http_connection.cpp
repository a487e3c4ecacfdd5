// Beast parses requests; answers are composed by http_wire and written as plain bytes.
#include "services/gateway/http_connection.hpp"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/beast.hpp>

#include "common/base/log.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/http_exchange.hpp"
#include "services/gateway/http_request.hpp"

namespace troupe::gateway {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kReadPiece = 8u << 10;
constexpr std::size_t kPipelineBytes = 64u << 10;               ///< read ahead while an answer is under way
constexpr Duration kGonePoll = std::chrono::milliseconds(100);  ///< once that much has been read ahead
constexpr Duration kLinger = std::chrono::seconds(1);           ///< for a refused client to read why
constexpr std::size_t kSinkPiece = 64u << 10;                   ///< of a body that is not kept in memory
constexpr std::size_t kLingerBytes = 256u << 10;
constexpr std::size_t kMaxLingering = 64;
constexpr Duration kHandshake = std::chrono::seconds(10);  ///< for a client to agree on TLS
constexpr char kTlsHandshake = 22;  ///< the first byte of a TLS connection; of no HTTP request

}  // namespace

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  /// `tls` is null on a plain port.
  HttpConnection(HttpLoop& loop, std::shared_ptr<HttpShared> shared, tcp::socket socket,
                 std::shared_ptr<HttpStream::Context> tls)
      : loop_(loop),
        shared_(std::move(shared)),
        options_(shared_->options),
        limits_(shared_->limits()),
        tls_(std::move(tls)),
        stream_(std::move(socket)),
        socket_(stream_.socket()),
        watchdog_(loop.context),
        wake_(loop.context),
        poll_timer_(loop.context),
        buffer_(limits_.max_header_bytes + kPipelineBytes + kReadPiece) {}

  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    loop_.connections.insert(this);
    if (shared_->stopping) close();
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    try {
      if (!tls_ || co_await secure()) {
        while (co_await serve_one()) {
        }
      }
    } catch (const std::exception& e) {
      log::error("http connection failed", {{"what", e.what()}});
    }
    close();
    if (exchange_) leave_exchange();
    no_longer_fresh();
    while (watching_) co_await wait_wake();
    loop_.connections.erase(this);
    shared_->leave(shared_->connections);
  }

  /// Ends whatever is going on. Threads: the loop's.
  void close() {
    error_code ignored;
    socket_.close(ignored);
    watchdog_.cancel();
    poll_timer_.cancel();
    closing_ = true;
    if (exchange_) exchange_->set_gone();
    wake_.cancel();
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  // Agrees on TLS; false ends the connection. Whoever speaks plain HTTP here is told so.
  asio::awaitable<bool> secure() {
    if (!co_await read_first_bytes()) co_return false;
    if (*static_cast<const char*>(buffer_.data().data()) != kTlsHandshake) {
      const ApiError error = to_api(Error{Errc::https_required, "this port speaks HTTPS"});
      co_await refuse(error);
      co_return false;
    }
    stream_.secure(tls_);
    arm(std::min(kHandshake, limits_.read_timeout));
    const auto [ec, used] = co_await stream_.async_handshake(buffer_.data(), kAwait);
    disarm();
    const bool agreed = !ec && used == buffer_.size();
    buffer_.consume(buffer_.size());  // what came before TLS is never read as if it had come through it
    if (!agreed && !closing_ && options_.on_failed_handshake) options_.on_failed_handshake();
    co_return agreed;
  }

  // One request and its answer; false ends the connection.
  asio::awaitable<bool> serve_one() {
    if (buffer_.size() == 0 && !co_await read_first_bytes()) co_return false;
    take_limits();
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.max_header_bytes));
    body_limit_ = {limits_.max_body_bytes, std::nullopt};
    if (options_.body_limit)
      parser.body_limit(boost::none);  // limit_body() knows it when the head is there
    else
      parser.body_limit(body_limit_.bytes);
    streamed_.reset();
    arm(limits_.read_timeout);
    const auto ec = co_await read_request(parser);
    disarm();
    if (ec) {
      // Named, since g++ 12 destroys an aggregate temporary of a co_await expression twice.
      const std::optional<ApiError> error = what_to_say(ec);
      if (error) co_await refuse(*error);
      co_return false;
    }
    http::request<http::string_body> message;
    if (streamed_)
      message.base() = std::move(*streamed_);
    else
      message = parser.release();
    co_return co_await answer(std::move(message));
  }

  // Those of the request that has begun, until its answer has ended.
  void take_limits() {
    limits_ = shared_->limits();
    buffer_.max_size(std::max(buffer_.size(), limits_.max_header_bytes + kPipelineBytes + kReadPiece));
  }

  // Why a request could not be read; nothing to a client that has left.
  [[nodiscard]] std::optional<ApiError> what_to_say(const error_code& ec) const {
    if (closing_ || ec == http::error::end_of_stream || ec == http::error::partial_message)
      return std::nullopt;
    if (timed_out_) return to_api(Error{Errc::request_timeout, "the request did not arrive whole in time"});
    if (bad_expectation_) {
      return to_api(Error{Errc::expectation_failed, "the only expectation understood is 100-continue"});
    }
    if (ec.category() != http::make_error_code(http::error::bad_method).category()) return std::nullopt;
    return protocol_error(ec, limits_, body_limit_);
  }

  asio::awaitable<bool> read_first_bytes() {
    arm(shared_->limits().idle_timeout);
    const auto [ec, size] = co_await stream_.async_read_some(buffer_.prepare(kReadPiece), kAwait);
    disarm();
    if (ec) co_return false;
    buffer_.commit(size);
    co_return true;
  }

  asio::awaitable<error_code> read_request(Parser& parser) {
    if (const auto [ec, size] = co_await http::async_read_header(stream_, buffer_, parser, kAwait); ec)
      co_return ec;
    const auto& head = parser.get();
    if (options_.body_limit && !parser.is_done() && !limit_body(parser))
      co_return http::make_error_code(http::error::body_limit);
    if (const auto expect = head.find(http::field::expect); expect != head.end()) {
      if (!beast::iequals(expect->value(), "100-continue")) {
        bad_expectation_ = true;
        co_return http::make_error_code(http::error::bad_value);
      }
      if (!parser.is_done() && buffer_.size() == 0) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        const auto [ec, size] = co_await asio::async_write(stream_, asio::buffer(kContinue), kAwait);
        if (ec) co_return ec;
      }
    }
    if (parser.is_done()) co_return error_code{};
    if (body_limit_.sink) co_return co_await read_into_sink(parser);
    const auto [ec, size] = co_await http::async_read(stream_, buffer_, parser, kAwait);
    co_return ec;
  }

  // The next piece is read when the last one has been taken, so memory and time are those of one piece.
  asio::awaitable<error_code> read_into_sink(Parser& head) {
    http::request_parser<http::buffer_body> parser(std::move(head));
    parser.body_limit(body_limit_.bytes);
    while (!parser.is_done()) {
      std::string piece(kSinkPiece, '\0');
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      arm(limits_.read_timeout);
      const auto [ec, size] = co_await http::async_read(stream_, buffer_, parser, kAwait);
      disarm();
      if (ec && ec != http::error::need_buffer) co_return ec;
      piece.resize(kSinkPiece - parser.get().body().size);
      if (piece.empty()) continue;
      taken_ = false;
      body_limit_.sink->take(std::move(piece), [self = shared_from_this()] {
        asio::post(self->loop_.context, [self] {
          self->taken_ = true;
          self->wake_.cancel();
        });
      });
      while (!taken_ && !closing_) co_await wait_wake();
      if (closing_) co_return asio::error::make_error_code(asio::error::operation_aborted);
    }
    streamed_ = std::move(parser.get().base());
    co_return error_code{};
  }

  // By what the head says; whether the body that it announces fits.
  bool limit_body(Parser& parser) {
    BodyLimit limit = options_.body_limit(head_of(parser.get()));
    body_limit_.form = limit.form;
    if (limit.sink || limit.bytes < body_limit_.bytes) body_limit_ = std::move(limit);
    const auto announced = parser.content_length();
    if (announced && *announced > body_limit_.bytes) return false;
    parser.body_limit(body_limit_.bytes);
    return true;
  }

  asio::awaitable<bool> answer(http::request<http::string_body> message) {
    Request request = convert(message);
    AnswerContext context;
    context.request_id = to_hex(request.id);
    context.cors_origin = options_.cors_origin;
    context.head_only = message.method() == http::verb::head;
    context.chunked = message.version() >= 11;
    context.close = !message.keep_alive() || !context.chunked || request.draining;
    const bool keep = !context.close;

    ++shared_->in_flight;
    no_longer_fresh();
    const auto self = shared_from_this();
    exchange_ = std::make_shared<Exchange>(
        [self](Exchange::Task task) { asio::post(self->loop_.context, std::move(task)); },
        [self] { self->wake_.cancel(); }, std::move(context), limits_.max_buffered_bytes);
    call_handler(std::move(request));
    const bool whole = co_await send_answer();
    if (!whole) exchange_->set_gone();
    leave_exchange();
    if (whole && !keep) co_await linger();
    co_return whole&& keep && !closing_;
  }

  void no_longer_fresh() {
    if (std::exchange(fresh_, false)) shared_->leave(shared_->fresh);
  }

  void leave_exchange() {
    exchange_->detach();
    exchange_.reset();
    shared_->leave(shared_->in_flight);
  }

  // A route that throws drops its writer, which answers 500.
  void call_handler(Request request) {
    try {
      shared_->handler(std::move(request), exchange_->writer());
    } catch (const std::exception& e) {
      log::error("http route failed", {{"request", exchange_->context().request_id}, {"what", e.what()}});
    }
  }

  asio::awaitable<bool> send_answer() {
    for (;;) {
      const Exchange::Piece piece = exchange_->take();
      if (!piece.bytes.empty() && !co_await send(piece.bytes)) co_return false;
      if (piece.broken) co_return false;
      if (piece.ended) break;
      if (gone_ || closing_) co_return false;
      if (piece.bytes.empty()) {
        watch();
        co_await wait_wake();
      }
    }
    // The read-ahead must end before the buffer is parsed again; what it has read stays in the buffer.
    stop_watching_ = true;
    if (watching_) {
      error_code ignored;
      socket_.cancel(ignored);
      poll_timer_.cancel();
      while (watching_) co_await wait_wake();
    }
    stop_watching_ = false;
    co_return !gone_;
  }

  asio::awaitable<bool> send(std::string_view bytes) {
    arm(limits_.write_timeout);
    const auto [ec, size] = co_await asio::async_write(stream_, asio::buffer(bytes), kAwait);
    disarm();
    co_return !ec;
  }

  asio::awaitable<void> refuse(const ApiError& error) {
    if (options_.on_refusal) options_.on_refusal(error.status);
    AnswerContext context;
    context.close = true;
    context.cors_origin = options_.cors_origin;
    const std::string bytes = compose_response(body_limit_.form(error), context);
    if (co_await send(bytes)) co_await linger();
  }

  // Closing with unread bytes would reset the connection and may take the answer with it: let the client read
  // first.
  asio::awaitable<void> linger() {
    if (shared_->lingering.fetch_add(1) < kMaxLingering) {
      if (stream_.secured()) co_await say_end();
      error_code ec;
      socket_.shutdown(tcp::socket::shutdown_send, ec);
      arm(kLinger);
      std::string sink(kReadPiece, '\0');
      for (std::size_t total = 0; total < kLingerBytes;) {
        const auto [read_ec, size] = co_await socket_.async_read_some(asio::buffer(sink), kAwait);
        if (read_ec) break;
        total += size;
      }
      disarm();
    }
    shared_->leave(shared_->lingering);
  }

  // Without it a client takes the end for one that somebody else has cut.
  asio::awaitable<void> say_end() {
    arm(kLinger);
    const auto [ec] = co_await stream_.async_shutdown(kAwait);
    disarm();
    if (ec) co_return;  // it left first, or sent on: either way the end has been said
  }

  // Reads ahead while an answer is produced: finds pipelined requests, and the end of a client that left.
  void watch() {
    if (watching_ || gone_ || closing_) return;
    watching_ = true;
    if (buffer_.size() >= kPipelineBytes) {
      poll_timer_.expires_after(kGonePoll);
      poll_timer_.async_wait([self = shared_from_this()](error_code) { self->on_poll(); });
      return;
    }
    stream_.async_read_some(buffer_.prepare(kReadPiece),
                            [self = shared_from_this()](error_code ec, std::size_t size) {
                              self->watching_ = false;
                              self->buffer_.commit(size);
                              if (!ec || self->stop_watching_) {
                                self->keep_watching();
                              } else {
                                self->client_left();
                              }
                            });
  }

  void on_poll() {
    watching_ = false;
    pollfd state{socket_.native_handle(), POLLRDHUP, 0};
    const bool left =
        !closing_ && ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    left ? client_left() : keep_watching();
  }

  void keep_watching() {
    if (stop_watching_ || closing_) {
      wake_.cancel();
    } else {
      watch();
    }
  }

  void client_left() {
    gone_ = true;
    if (exchange_) exchange_->set_gone();
    error_code ignored;
    socket_.close(ignored);
    wake_.cancel();
  }

  asio::awaitable<void> wait_wake() {
    wake_.expires_at(TimePoint::max());
    co_await wake_.async_wait(kAwait);
  }

  // One timer guards whatever operation is under way. It is moved lazily: arming costs nothing while it
  // already runs for an earlier time. When it fires in earnest the socket's operations are cancelled; the
  // socket stays usable for a 408.
  void arm(Duration allowed) {
    timed_out_ = false;
    deadline_ = std::chrono::steady_clock::now() + allowed;
    if (deadline_ < armed_until_) start_watchdog();
  }
  void disarm() { deadline_ = TimePoint::max(); }
  void start_watchdog() {
    armed_until_ = deadline_;
    watchdog_.expires_at(deadline_);
    watchdog_.async_wait([weak = weak_from_this()](error_code ec) {
      if (const auto self = weak.lock(); self && !ec) self->on_watchdog();
    });
  }
  void on_watchdog() {
    armed_until_ = TimePoint::max();
    if (deadline_ == TimePoint::max() || closing_) return;
    if (std::chrono::steady_clock::now() < deadline_) return start_watchdog();
    timed_out_ = true;
    disarm();
    error_code ignored;
    socket_.cancel(ignored);
  }

  Request convert(http::request<http::string_body>& message) {
    Request request = head_of(message);
    request.id = random_id<RequestId>();
    request.draining = shared_->draining;
    request.body = std::move(message.body());
    request.sink = std::exchange(body_limit_.sink, nullptr);
    return request;
  }

  HttpLoop& loop_;
  const std::shared_ptr<HttpShared> shared_;
  const HttpOptions& options_;
  HttpLimits limits_;  ///< of the request that is under way, or of the one before
  const std::shared_ptr<HttpStream::Context> tls_;
  HttpStream stream_;
  tcp::socket& socket_;  ///< below TLS
  asio::steady_timer watchdog_, wake_, poll_timer_;
  beast::flat_buffer buffer_;
  std::shared_ptr<Exchange> exchange_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint armed_until_ = TimePoint::max();
  BodyLimit body_limit_;  ///< of the request that is read
  std::optional<http::request_header<>> streamed_;  ///< head of a request whose body went into a sink
  bool taken_ = false;                              ///< the sink may have another piece
  bool timed_out_ = false;
  bool bad_expectation_ = false;
  bool watching_ = false;
  bool stop_watching_ = false;
  bool fresh_ = true;
  bool gone_ = false;
  bool closing_ = false;
};

void serve_connection(HttpLoop& loop, std::shared_ptr<HttpShared> shared, tcp::socket socket,
                      std::shared_ptr<HttpStream::Context> tls) {
  auto connection =
      std::make_shared<HttpConnection>(loop, std::move(shared), std::move(socket), std::move(tls));
  asio::co_spawn(
      loop.context, [connection] { return connection->run(); }, asio::detached);
}

void close_connections(HttpLoop& loop) {
  asio::post(loop.context, [raw = &loop] {
    const std::vector<HttpConnection*> open(raw->connections.begin(), raw->connections.end());
    for (HttpConnection* connection : open) connection->close();
  });
}

}  // namespace troupe::gateway
