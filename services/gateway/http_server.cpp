// A single acceptor deals connections to the event loops in turn: the load is even, and a taken port shows as
// an error, which SO_REUSEPORT would hide from a second server of the same user.
#include "services/gateway/http_server.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio.hpp>

#include "services/gateway/http_connection.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/http_tls.hpp"
#include "services/gateway/http_wire.hpp"

namespace troupe::gateway {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

class Server final : public HttpServer {
 public:
  Server(HttpOptions options, Handler handler) : shared_(std::make_shared<HttpShared>()) {
    shared_->set_limits(options);
    shared_->options = std::move(options);
    shared_->handler = std::move(handler);
    for (std::size_t i = 0; i < std::max<std::size_t>(1, shared_->options.threads); ++i) {
      loops_.push_back(std::make_unique<HttpLoop>());
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
        HttpLoop& loop = next_loop();
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
    for (const auto& loop : loops_) close_connections(*loop);
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

  HttpLoop& next_loop() { return *loops_[turn_++ % loops_.size()]; }

  asio::awaitable<void> accept_loop() {
    asio::steady_timer pause(loops_[0]->context);
    for (;;) {
      HttpLoop& loop = next_loop();
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

  void take(HttpLoop& loop, tcp::socket socket) {
    const std::size_t most = shared_->limits().max_connections;
    if (shared_->connections >= most) return refuse(std::move(socket), most);
    ++shared_->connections;
    ++shared_->fresh;
    auto tls = certificate_ ? certificate_->current(std::chrono::steady_clock::now()) : nullptr;
    serve_connection(loop, shared_, std::move(socket), std::move(tls));
  }

  // The 503 fits the send buffer of a fresh socket, so it is written without waiting.
  void refuse(tcp::socket socket, std::size_t most) {
    if (shared_->options.on_refusal) shared_->options.on_refusal(503);
    AnswerContext context;
    context.close = true;
    context.cors_origin = shared_->options.cors_origin;
    const std::string bytes = compose_response(
        to_response(to_api(Error{Errc::too_many_connections,
                                 "the server holds " + std::to_string(most) + " connections already"})),
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

  const std::shared_ptr<HttpShared> shared_;
  std::vector<std::unique_ptr<HttpLoop>> loops_;
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
