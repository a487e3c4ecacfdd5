// The Beast wall. Beast parses requests; answers are composed by http_wire and written as plain bytes.
//
// A single acceptor deals connections to the event loops in turn: the load is even, and a taken port shows as
// an error, which SO_REUSEPORT would hide from a second server of the same user. All of a connection's state
// is touched by its loop's thread only.
#include "services/gateway/http_server.hpp"

#include <poll.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "common/base/log.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/http_exchange.hpp"
#include "services/gateway/http_stream.hpp"
#include "services/gateway/http_tls.hpp"

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

class Connection;

/// An event loop and the connections that live on it.
struct Loop {
  asio::io_context context{1};
  std::unordered_set<Connection*> connections;  ///< touched by the loop's thread
  std::thread thread;
};

/// What connections share with the server.
struct Shared {
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

ApiError protocol_error(const error_code& ec, const HttpLimits& limits, const BodyLimit& body_limit) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    return to_api(Error{Errc::header_too_large,
                        "the header is over " + std::to_string(limits.max_header_bytes) + " bytes"});
  }
  if (ec == http::error::body_limit) {
    if (body_limit.beyond) return *body_limit.beyond;
    return to_api(
        Error{Errc::body_too_large, "the body is over " + std::to_string(body_limit.bytes) + " bytes"});
  }
  return ApiError{400, "malformed_http", "", "the request is not valid HTTP/1.1: " + ec.message(), 0};
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `tls` is null on a plain port.
  Connection(Loop& loop, std::shared_ptr<Shared> shared, tcp::socket socket,
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
      const ApiError error{400, "https_required", "", "this port speaks HTTPS", 0};
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
      return ApiError{417, "expectation_failed", "", "the only expectation understood is 100-continue", 0};
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

  static std::string_view origin_form(std::string_view target) {
    const auto scheme = target.find("://");
    if (scheme == std::string_view::npos || target.starts_with('/')) return target;
    const auto slash = target.find('/', scheme + 3);  // absolute form, as a proxy would get it
    return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }

  Request convert(http::request<http::string_body>& message) {
    Request request = head_of(message);
    request.id = random_id<RequestId>();
    request.draining = shared_->draining;
    request.body = std::move(message.body());
    request.sink = std::exchange(body_limit_.sink, nullptr);
    return request;
  }

  static Request head_of(const http::request<http::string_body>& message) {
    Request request;
    request.method = message.method() == http::verb::head ? "GET" : std::string(message.method_string());
    const auto target = origin_form({message.target().data(), message.target().size()});
    const auto mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
    for (const auto& field : message) {
      request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    return request;
  }

  Loop& loop_;
  const std::shared_ptr<Shared> shared_;
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

class Server final : public HttpServer {
 public:
  Server(HttpOptions options, Handler handler) : shared_(std::make_shared<Shared>()) {
    shared_->set_limits(options);
    shared_->options = std::move(options);
    shared_->handler = std::move(handler);
    for (std::size_t i = 0; i < std::max<std::size_t>(1, shared_->options.threads); ++i) {
      loops_.push_back(std::make_unique<Loop>());
    }
    acceptor_.emplace(loops_[0]->context);
  }
  ~Server() override { stop(Duration::zero()); }

  Expected<void> listen() {
    const HttpOptions& options = shared_->options;
    if (!options.tls.certificate.empty()) {
      auto certificate = HttpCertificate::open(options.tls, options.on_certificate);
      if (!certificate) return tl::unexpected<Error>(std::move(certificate.error()));
      certificate_ = std::move(*certificate);
    }
    error_code ec;
    const auto address =
        asio::ip::make_address(options.address == "localhost" ? "127.0.0.1" : options.address, ec);
    if (ec) return fail(Errc::config_invalid, "http.host: '" + options.address + "' is not an IP address");
    const tcp::endpoint endpoint(address, options.port);
    acceptor_->open(endpoint.protocol(), ec);
    if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_->bind(endpoint, ec);
    if (!ec) acceptor_->listen(asio::socket_base::max_listen_connections, ec);
    const std::string place = options.address + ":" + std::to_string(options.port);
    if (ec == asio::error::address_in_use)
      return fail(Errc::address_in_use, "port " + std::to_string(options.port) + " (" + place + ") is taken");
    if (ec) return fail(Errc::io_failed, "cannot listen on " + place + ": " + ec.message());
    port_ = acceptor_->local_endpoint(ec).port();
    return {};
  }

  void run() override {
    asio::co_spawn(loops_[0]->context, accept_loop(), asio::detached);
    for (const auto& loop : loops_) {
      guards_.push_back(asio::make_work_guard(loop->context));
      loop->thread = std::thread([context = &loop->context] { context->run(); });
    }
  }

  std::uint16_t port() const override { return port_; }
  std::size_t connections() const override { return shared_->connections; }
  std::size_t in_flight() const override { return shared_->in_flight; }
  bool draining() const override { return shared_->draining; }
  void set_limits(const HttpLimits& limits) override { shared_->set_limits(limits); }

  void begin_drain() override {
    if (shared_->draining.exchange(true)) return;
    ++shared_->fresh;  // for those that are about to be accepted
    asio::post(loops_[0]->context, [this] {
      // Connections that the kernel has made already are answered: closing under them would reset them.
      error_code ec;
      acceptor_->non_blocking(true, ec);
      while (!ec) {
        Loop& loop = next_loop();
        tcp::socket socket(loop.context);
        acceptor_->accept(socket, ec);
        if (!ec) take(loop, std::move(socket));
      }
      acceptor_->close(ec);
      shared_->leave(shared_->fresh);
    });
  }

  bool stop(Duration deadline) override {
    if (stopped_) return true;
    stopped_ = true;
    const TimePoint until = std::chrono::steady_clock::now() + deadline;
    begin_drain();
    // Whoever has just connected gets to ask and to hear that nothing new is taken.
    wait_for_none(shared_->fresh, std::min(deadline, shared_->options.fresh_grace));
    const bool clean = wait_for_none(shared_->in_flight, until - std::chrono::steady_clock::now());
    wait_for_none(shared_->lingering,
                  std::min(until - std::chrono::steady_clock::now(), shared_->options.fresh_grace));
    shared_->stopping = true;
    for (const auto& loop : loops_) {
      asio::post(loop->context, [raw = loop.get()] {
        const std::vector<Connection*> open(raw->connections.begin(), raw->connections.end());
        for (Connection* connection : open) connection->close();
      });
    }
    guards_.clear();
    for (const auto& loop : loops_) {
      if (loop->thread.joinable()) loop->thread.join();
    }
    return clean;
  }

 private:
  bool wait_for_none(const std::atomic<std::size_t>& counter, Duration deadline) {
    std::unique_lock lock(shared_->mutex);
    return shared_->idle.wait_for(lock, deadline, [&] { return counter == 0; });
  }

  Loop& next_loop() { return *loops_[turn_++ % loops_.size()]; }

  asio::awaitable<void> accept_loop() {
    asio::steady_timer pause(loops_[0]->context);
    for (;;) {
      Loop& loop = next_loop();
      auto [ec, socket] = co_await acceptor_->async_accept(loop.context, kAwait);
      if (!ec) take(loop, std::move(socket));
      if (!acceptor_->is_open()) co_return;
      if (ec) {
        // Out of descriptors: those that are open must close first.
        pause.expires_after(std::chrono::milliseconds(50));
        co_await pause.async_wait(kAwait);
      }
    }
  }

  void take(Loop& loop, tcp::socket socket) {
    const std::size_t most = shared_->limits().max_connections;
    if (shared_->connections >= most) return refuse(std::move(socket), most);
    ++shared_->connections;
    ++shared_->fresh;
    auto tls = certificate_ ? certificate_->current(std::chrono::steady_clock::now()) : nullptr;
    auto connection = std::make_shared<Connection>(loop, shared_, std::move(socket), std::move(tls));
    asio::co_spawn(
        loop.context, [connection] { return connection->run(); }, asio::detached);
  }

  // The 503 fits the send buffer of a fresh socket, so it is written without waiting.
  void refuse(tcp::socket socket, std::size_t most) {
    if (shared_->options.on_refusal) shared_->options.on_refusal(503);
    AnswerContext context;
    context.close = true;
    context.cors_origin = shared_->options.cors_origin;
    const std::string bytes = compose_response(
        to_response(ApiError{503, "too_many_connections", "",
                             "the server holds " + std::to_string(most) + " connections already", 1}),
        context);
    error_code ignored;
    socket.non_blocking(true, ignored);
    if (!certificate_) socket.write_some(asio::buffer(bytes), ignored);  // a TLS client could not read it
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    // What the client has sent by now is read away, so that closing does not reset the connection under the
    // answer.
    std::array<char, 4096> sink;
    socket.read_some(asio::buffer(sink), ignored);
  }

  const std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::optional<tcp::acceptor> acceptor_;
  std::unique_ptr<HttpCertificate> certificate_;  // loops_[0]'s thread
  std::size_t turn_ = 0;                          // the same
  std::uint16_t port_ = 0;
  bool stopped_ = false;
};

}  // namespace

Expected<std::unique_ptr<HttpServer>> HttpServer::open(HttpOptions options, Handler handler) {
  auto server = std::make_unique<Server>(std::move(options), std::move(handler));
  TROUPE_TRY(server->listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

Expected<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, Handler handler) {
  auto server = open(std::move(options), std::move(handler));
  if (server) (*server)->run();
  return server;
}

}  // namespace troupe::gateway
