#pragma once
// ZeroMQ's CURVE at the listening end (its wall): who is let in, who was refused.
//
// A bound socket has the key pair of the generation in use, and lets clients of every generation in that the
// folder holds (security/key_folder.hpp). ZeroMQ asks about each by ZAP (its RFC 27), on a thread of the
// gate's own, so that a socket's owner may be busy. Peers without keys, or that do not know this cluster's,
// fail before that: a monitor of the socket tells of them.
#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "common/security/key_folder.hpp"
#include "common/transport/refusal_log.hpp"

namespace troupe {

/// The pair of `generation` at a dialling socket, for a peer of the same one. Before connect(). Throws
/// zmq::error_t.
void set_client_keys(zmq::socket_t& socket, const security::KeyGeneration& generation);

/// What a monitor says: the event's number and value. False when there is nothing to read.
struct MonitorEvent {
  std::uint16_t number = 0;
  std::uint32_t value = 0;
};
[[nodiscard]] bool read_event(zmq::socket_t& monitor, MonitorEvent& event);
/// Tells of `events` at `socket`; the name is free in its context. Throws zmq::error_t.
[[nodiscard]] zmq::socket_t open_monitor(zmq::context_t& context, zmq::socket_t& socket, int events);
inline constexpr int kHandshakeFailures = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                          ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

/// Guards the bound sockets of one context. It must outlive them: where nobody answers ZAP, ZeroMQ lets
/// everyone in. Threads: refused() any; all else the one that makes it.
class CurveGate {
 public:
  /// `keys` may be null: then nothing is guarded and there is no thread. `port` names what is guarded in the
  /// log. Throws zmq::error_t.
  CurveGate(zmq::context_t& context, std::shared_ptr<const security::ClusterKeys> keys, std::string port);
  ~CurveGate();
  CurveGate(const CurveGate&) = delete;
  CurveGate& operator=(const CurveGate&) = delete;

  /// Before the socket is bound, and before start(). Throws zmq::error_t.
  void guard(zmq::socket_t& socket);
  /// Answers from now on; once.
  void start();
  /// Handshakes that did not succeed.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Watched;
  void run();
  bool answer_one();
  void watch(Watched& watched);
  void say(const std::string& address, const char* why);

  zmq::context_t& context_;
  const std::shared_ptr<const security::ClusterKeys> keys_;
  const std::string port_;
  std::set<std::string> guests_;  // public keys, 32 bytes each
  zmq::socket_t zap_;
  std::vector<std::unique_ptr<Watched>> watched_;
  RefusalLog log_;  // the thread's
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<bool> stopping_{false};
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace troupe
