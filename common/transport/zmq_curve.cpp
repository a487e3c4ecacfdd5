#include "common/transport/zmq_curve.hpp"

#include <arpa/inet.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "common/base/log.hpp"
#include "common/transport/curve.hpp"

namespace troupe {
namespace {

constexpr int kHandshakeMs = 5000;    ///< a connection that has not shown its keys by then is closed
constexpr std::size_t kAtOnce = 256;  ///< then the others are looked after
constexpr std::size_t kMostConnections = 4096;  ///< whose addresses are kept
constexpr const char* kDomain = "troupe";
constexpr const char* kUnknown = "unknown";

std::string address_of(int connection) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return kUnknown;
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* address = nullptr;
  if (peer.ss_family == AF_INET) address = &reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr;
  if (peer.ss_family == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_addr;
  if (address == nullptr || ::inet_ntop(peer.ss_family, address, text.data(), text.size()) == nullptr)
    return kUnknown;
  return text.data();
}

std::string raw_key(const std::string& z85) {
  std::array<std::uint8_t, 32> raw{};
  if (zmq_z85_decode(raw.data(), z85.c_str()) == nullptr) throw zmq::error_t();
  return {raw.begin(), raw.end()};
}

}  // namespace

security::CurvePair make_curve_pair() {
  std::array<char, 41> public_key{}, secret_key{};
  TROUPE_CHECK(zmq_curve_keypair(public_key.data(), secret_key.data()) == 0, "this libzmq has no CURVE");
  security::CurvePair pair{public_key.data(), secret_key.data()};
  ::explicit_bzero(secret_key.data(), secret_key.size());
  return pair;
}

void set_client_keys(zmq::socket_t& socket, const security::KeyGeneration& generation) {
  socket.set(zmq::sockopt::curve_serverkey, generation.curve.public_key);
  socket.set(zmq::sockopt::curve_publickey, generation.curve.public_key);
  socket.set(zmq::sockopt::curve_secretkey, generation.curve.secret_key);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
}

zmq::socket_t open_monitor(zmq::context_t& context, zmq::socket_t& socket, int events) {
  static std::atomic<std::uint64_t> next{0};
  const std::string name = "inproc://monitor-" + std::to_string(next++);
  if (zmq_socket_monitor(socket.handle(), name.c_str(), events) != 0) throw zmq::error_t();
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  monitor.set(zmq::sockopt::linger, 0);
  monitor.connect(name);
  return monitor;
}

bool read_event(zmq::socket_t& monitor, MonitorEvent& event) {
  zmq::message_t head, endpoint;
  if (!monitor.recv(head, zmq::recv_flags::dontwait)) return false;
  if (head.more()) (void)monitor.recv(endpoint, zmq::recv_flags::dontwait);
  event = {};
  if (head.size() != sizeof event.number + sizeof event.value) return true;
  std::memcpy(&event.number, head.data(), sizeof event.number);
  std::memcpy(&event.value, static_cast<const std::uint8_t*>(head.data()) + sizeof event.number,
              sizeof event.value);
  return true;
}

/// A guarded socket as its monitor shows it. A failed handshake is followed by the end of its connection,
/// which names the descriptor; whose that was is asked when it is accepted.
struct CurveGate::Watched {
  explicit Watched(zmq::socket_t socket) : monitor(std::move(socket)) {}
  zmq::socket_t monitor;
  std::map<std::uint32_t, std::string> connections;  ///< address by descriptor
  bool failed = false;                               ///< the next connection that ends is why
};

CurveGate::CurveGate(zmq::context_t& context, std::shared_ptr<const security::ClusterKeys> keys,
                     std::string port)
    : context_(context), keys_(std::move(keys)), port_(std::move(port)) {
  if (!keys_) return;
  for (const security::KeyGeneration& each : keys_->generations)
    guests_.insert(raw_key(each.curve.public_key));
  zap_ = zmq::socket_t(context_, zmq::socket_type::rep);
  zap_.set(zmq::sockopt::linger, 0);
  zap_.bind("inproc://zeromq.zap.01");
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  TROUPE_CHECK(wake_ >= 0, "eventfd failed");
}

CurveGate::~CurveGate() {
  if (wake_ < 0) return;
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
}

void CurveGate::guard(zmq::socket_t& socket) {
  if (!keys_) return;
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_publickey, keys_->current().curve.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys_->current().curve.secret_key);
  socket.set(zmq::sockopt::zap_domain, std::string(kDomain));
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  const int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | kHandshakeFailures;
  watched_.push_back(std::make_unique<Watched>(open_monitor(context_, socket, events)));
}

void CurveGate::start() {
  if (keys_) thread_ = std::thread([this] { run(); });
}

void CurveGate::run() {
  std::vector<zmq::pollitem_t> items{{nullptr, wake_, ZMQ_POLLIN, 0}, {zap_.handle(), 0, ZMQ_POLLIN, 0}};
  for (const auto& watched : watched_) items.push_back({watched->monitor.handle(), 0, ZMQ_POLLIN, 0});
  while (!stopping_) {
    zmq::poll(items, std::chrono::milliseconds(-1));
    for (std::size_t i = 0; i < kAtOnce && answer_one(); ++i) {
    }
    for (const auto& watched : watched_) watch(*watched);
  }
}

/// [version, request, domain, address, identity, mechanism, public key] -> [version, request, code, text,
/// user, metadata]
bool CurveGate::answer_one() {
  std::vector<zmq::message_t> parts;
  for (bool more = true; more;) {
    zmq::message_t part;
    if (!zap_.recv(part, zmq::recv_flags::dontwait)) return false;
    more = part.more();
    if (parts.size() < 8) parts.push_back(std::move(part));
  }
  const bool whole = parts.size() == 7;
  const bool in = whole && parts[2].to_string_view() == kDomain && parts[5].to_string_view() == "CURVE" &&
                  guests_.contains(parts[6].to_string());
  const std::string request = parts.size() > 1 ? parts[1].to_string() : std::string();
  const std::array<std::string, 6> answer{
      "1.0", request, in ? "200" : "400", in ? "OK" : "unknown key", in ? "member" : "", ""};
  for (std::size_t i = 0; i < answer.size(); ++i)
    zap_.send(zmq::buffer(answer[i]),
              i + 1 < answer.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  if (!in) say(whole ? parts[3].to_string() : kUnknown, "its key is of no generation that is accepted");
  return true;
}

void CurveGate::watch(Watched& watched) {
  MonitorEvent event;
  for (std::size_t i = 0; i < kAtOnce && read_event(watched.monitor, event); ++i) {
    if (event.number == ZMQ_EVENT_ACCEPTED) {
      if (watched.connections.size() < kMostConnections)
        watched.connections.insert_or_assign(event.value, address_of(static_cast<int>(event.value)));
    } else if ((event.number & kHandshakeFailures) != 0) {
      refused_ += 1;
      watched.failed = event.number != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;  // of those ZAP has told
    } else if (event.number == ZMQ_EVENT_DISCONNECTED) {
      const auto found = watched.connections.extract(event.value);
      if (std::exchange(watched.failed, false))
        say(found.empty() ? kUnknown : found.mapped(), "it has no keys, or not this cluster's");
    }
  }
}

void CurveGate::say(const std::string& address, const char* why) {
  switch (log_.note(address)) {
    case RefusalLog::Say::nothing:
      return;
    case RefusalLog::Say::address:
      log::warn("a peer was refused", {{"port", port_}, {"address", address}, {"reason", why}});
      return;
    case RefusalLog::Say::no_more:
      log::warn("a peer was refused; further addresses are only counted",
                {{"port", port_}, {"address", address}, {"reason", why}});
      return;
  }
}

}  // namespace troupe
