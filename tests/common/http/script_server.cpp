#include "tests/common/http/script_server.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace troupe {
namespace {

/// One request: its header and as much body as Content-Length says.
std::string read_request(int fd) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::size_t at = text.find("Content-Length: ");
      const std::size_t length = at < end ? std::strtoul(text.c_str() + at + 16, nullptr, 10) : 0;
      if (text.size() >= end + 4 + length) return text;
    }
    const ssize_t got = ::recv(fd, piece.data(), piece.size(), 0);
    if (got <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

ScriptServer::ScriptServer(std::vector<ScriptedAnswer> answers) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, script = std::move(answers)] { serve(script); });
}

ScriptServer::~ScriptServer() {
  ::shutdown(listener_, SHUT_RDWR);  // an answer nobody asked for must not hold the test
  join();
  ::close(listener_);
}

void ScriptServer::join() {
  if (thread_.joinable()) thread_.join();
}

const std::vector<std::string>& ScriptServer::requests() {
  join();
  return requests_;
}

int ScriptServer::closed_by_client() {
  join();
  return closed_;
}

void ScriptServer::serve(const std::vector<ScriptedAnswer>& answers) {
  for (const ScriptedAnswer& answer : answers) {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    requests_.push_back(read_request(fd));
    for (const std::string& piece : answer.pieces)
      (void)!::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
    char byte = 0;
    if (answer.hold && ::recv(fd, &byte, 1, 0) <= 0) ++closed_;
    ::close(fd);
  }
}

std::string plain_answer(const std::string& body, int status) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string stream_header() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string event_chunk(const std::string& data) {
  const std::string event = "data: " + data + "\n\n";
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", event.size());
  return size.data() + event + "\r\n";
}

std::string last_chunk() {
  return "0\r\n\r\n";
}

}  // namespace troupe
