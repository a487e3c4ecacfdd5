#pragma once
// The bytes of one connection: plain, or through TLS from the moment secure() is called. Beast's stream
// concepts.
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

namespace troupe::gateway {

/// Threads: the one of its loop. Reads and writes may overlap, two of a kind may not.
class HttpStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;
  using Context = boost::asio::ssl::context;

  explicit HttpStream(Socket socket) : socket_(std::move(socket)) {}
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  /// For what is below TLS: options, cancel, close.
  [[nodiscard]] Socket& socket() { return socket_; }
  [[nodiscard]] bool secured() const { return tls_.has_value(); }
  /// From now on every byte goes through TLS; handshake() comes next. The context is kept as long as the
  /// stream.
  void secure(std::shared_ptr<Context> context) {
    context_ = std::move(context);
    tls_.emplace(socket_, *context_);
  }
  /// `received`: bytes that were read before. The handler gets how many of them TLS has taken.
  template <class Buffers, class Token>
  auto async_handshake(const Buffers& received, Token&& token) {
    return tls_->async_handshake(boost::asio::ssl::stream_base::server, received, std::forward<Token>(token));
  }
  /// Says that no more comes, and waits for the peer to say so.
  template <class Token>
  auto async_shutdown(Token&& token) {
    return tls_->async_shutdown(std::forward<Token>(token));
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const auto& into) {
          if (tls_)
            tls_->async_read_some(into, std::move(handler));
          else
            socket_.async_read_some(into, std::move(handler));
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this](auto handler, const auto& from) {
          if (tls_)
            tls_->async_write_some(from, std::move(handler));
          else
            socket_.async_write_some(from, std::move(handler));
        },
        token, buffers);
  }

 private:
  Socket socket_;
  std::shared_ptr<Context> context_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
};

}  // namespace troupe::gateway
