#pragma once
// A raw-socket HTTP client for tests: sends exactly the bytes given, reads answers with a deadline.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::test {

struct Answer {
  int status = 0;      ///< 0: no whole answer came
  std::string head;    ///< status line and headers, lower-cased names are not needed by the tests
  std::string body;    ///< de-chunked
  bool whole = false;  ///< content-length or last chunk reached
  [[nodiscard]] bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
  [[nodiscard]] std::string header(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~HttpClient() { close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool request(std::string_view method, std::string_view path, std::string_view body = {},
               std::string_view headers = {}) {
    std::string bytes =
        std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: t\r\n" + std::string(headers);
    if (!body.empty())
      bytes += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    return send(bytes + "\r\n" + std::string(body));
  }

  /// Reads until `text` has been received (and keeps everything). False when the connection ends or 10 s pass
  /// first.
  bool wait_for(std::string_view text) {
    while (in_.find(text) == std::string::npos) {
      if (!fill()) return false;
    }
    return true;
  }
  /// One answer. `bodiless`: to HEAD.
  Answer read(bool bodiless = false) {
    Answer answer;
    if (!wait_for("\r\n\r\n")) return answer;
    const auto end = in_.find("\r\n\r\n");
    answer.head = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    if (answer.status == 100) return read(bodiless);
    if (bodiless || answer.status == 204 || answer.status == 304) {
      answer.whole = true;
    } else if (answer.has("Transfer-Encoding: chunked")) {
      read_chunks(answer);
    } else if (const std::string length = answer.header("Content-Length"); !length.empty()) {
      const std::size_t size = std::stoul(length);
      while (in_.size() < size && fill()) {
      }
      answer.whole = in_.size() >= size;
      answer.body = in_.substr(0, size);
      in_.erase(0, answer.body.size());
    } else {
      while (fill()) {
      }
      answer.body = std::exchange(in_, {});
      answer.whole = true;
    }
    return answer;
  }
  Answer call(std::string_view method, std::string_view path, std::string_view body = {},
              std::string_view headers = {}) {
    request(method, path, body, headers);
    return read(method == "HEAD");
  }
  /// True when the peer closes (or resets) within 10 s, whatever it still sends.
  bool closed_by_peer() {
    while (fill()) {
    }
    return ended_;
  }
  [[nodiscard]] const std::string& received() const { return in_; }

 private:
  bool fill() {
    pollfd state{fd_, POLLIN, 0};
    if (fd_ < 0 || ::poll(&state, 1, 10'000) <= 0) return false;
    char buffer[65536];
    const auto size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) {
      ended_ = true;
      return false;
    }
    in_.append(buffer, static_cast<std::size_t>(size));
    return true;
  }
  void read_chunks(Answer& answer) {
    for (;;) {
      if (!wait_for("\r\n")) return;
      const auto line = in_.find("\r\n");
      const std::size_t size = std::stoul(in_.substr(0, line), nullptr, 16);
      while (in_.size() < line + 2 + size + 2) {
        if (!fill()) return;
      }
      answer.body += in_.substr(line + 2, size);
      in_.erase(0, line + 2 + size + 2);
      if (size == 0) {
        answer.whole = true;
        return;
      }
    }
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string in_;
};

}  // namespace troupe::test
