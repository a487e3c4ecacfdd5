#pragma once
// A connected, non-blocking socket of a client, plain or under TLS, that never waits: its owner polls.
// OpenSSL wall (socket.cpp).
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe {

/// Whose certificates a client believes. Threads: any.
class TlsTrust {
 public:
  /// `authorities`: a PEM file of those to believe instead of the system's; empty: the system's. Errors:
  /// file_not_found, file_malformed.
  [[nodiscard]] static Expected<std::shared_ptr<const TlsTrust>> load(const std::string& authorities = {});
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

 private:
  friend class HttpSocket;
  struct Impl;
  TlsTrust();
  std::unique_ptr<Impl> impl_;
};

/// How far a call got.
struct Moved {
  enum class State : std::uint8_t { moved, wants_read, wants_write, closed, failed };
  State state = State::moved;
  std::size_t bytes = 0;  ///< with moved: at least one
  std::string why = {};   ///< with failed
};

/// Threads: one.
class HttpSocket {
 public:
  HttpSocket();  ///< none
  /// Takes `fd` over. With `trust` it speaks TLS 1.2 or later to `host` (a name or an address), whose
  /// certificate must be valid for it; hands are shaken as the first bytes are sent.
  explicit HttpSocket(int fd, std::shared_ptr<const TlsTrust> trust = nullptr, const std::string& host = {});
  HttpSocket(HttpSocket&& other) noexcept;
  HttpSocket& operator=(HttpSocket&& other) noexcept;
  ~HttpSocket();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void close();

  /// Whether receive() has something that polling does not show.
  [[nodiscard]] bool holds_bytes() const;
  [[nodiscard]] Moved send(std::string_view bytes);
  /// `closed`: the peer said that this is the end; under TLS a cut connection is `failed`.
  [[nodiscard]] Moved receive(std::span<char> into);

 private:
  struct Session;
  int fd_ = -1;
  std::unique_ptr<Session> session_;  ///< of TLS
};

}  // namespace troupe
