#include "common/transport/zmq_plane.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <zmq.hpp>

#include "common/base/handoff.hpp"
#include "common/base/log.hpp"
#include "common/transport/frame_intake.hpp"
#include "common/transport/frame_pool.hpp"
#include "common/transport/peer_window.hpp"
#include "common/transport/shared_ring.hpp"
#include "common/transport/zmq_curve.hpp"
#include "common/transport/zmq_dial.hpp"
#include "common/wire/frame.hpp"

namespace troupe {
namespace {

void release_payload(void*, void* hint) {
  take_over();
  delete static_cast<FramePayload*>(hint);
}

// The message shares the payload; ZeroMQ's thread lets go of it when the bytes are out.
zmq::message_t share(const FramePayload& payload) {
  auto* hint = new FramePayload(payload);
  hand_over();
  return zmq::message_t(const_cast<std::uint8_t*>(payload->data()), payload->size(), release_payload, hint);
}

std::span<const std::uint8_t> bytes_of(const zmq::message_t& message) {
  return {static_cast<const std::uint8_t*>(message.data()), message.size()};
}

std::string_view text_of(const zmq::message_t& message) {
  return {static_cast<const char*>(message.data()), message.size()};
}

class ZmqPlane final : public DataPlane {
 public:
  ZmqPlane(const DataPlaneOptions& options, DataPlaneHandlers handlers)
      : options_(options), handlers_(std::move(handlers)), gate_(context_, options.keys, "data"), receiver_(context_, zmq::socket_type::router),
        intake_(handlers_.received, [this] { wake(); }), host_(options.shared_slots != 0 ? host_identity() : std::string()),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    TROUPE_CHECK(wake_ >= 0, "eventfd failed");
  }

  ~ZmqPlane() override {
    stopping_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
    intake_.close();
    ::close(wake_);
  }

  Expected<void> start() {
    try {
      receiver_.set(zmq::sockopt::linger, 0);
      receiver_.set(zmq::sockopt::rcvhwm, static_cast<int>(options_.window) * 2);
      receiver_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options_.max_frame_bytes));
      receiver_.set(zmq::sockopt::router_mandatory, true);
      gate_.guard(receiver_);
      receiver_.bind(options_.listen);
      address_ = receiver_.get(zmq::sockopt::last_endpoint);
      while (!address_.empty() && address_.back() == '\0') address_.pop_back();
    } catch (const zmq::error_t& error) {
      const Errc code = error.num() == EADDRINUSE ? Errc::address_in_use
                        : error.num() == EINVAL   ? Errc::invalid_argument
                                                  : Errc::io_failed;
      return fail(code, "data plane " + options_.listen + ": " + error.what());
    }
    gate_.start();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  const std::string& address() const override { return address_; }

  SendResult send(const std::string& address, const wire::Envelope& header, const RequestId&,
                  FramePayload payload) override {
    const auto identity = identify_frame(header, payload->size());
    TROUPE_CHECK(identity.has_value(), "a sender made a malformed frame");
    if (stopping_ || !address.starts_with("tcp://")) return SendResult::closed;
    {
      std::lock_guard lock(mutex_);
      if (!peer(address).offer({*identity, header, std::move(payload)}, now())) return SendResult::window_full;
    }
    wake();
    return SendResult::sent;
  }

  void drop(const RequestId& request) override {
    std::lock_guard lock(mutex_);
    for (auto& [address, peer] : peers_) peer.drop(request);
  }

  const std::string& host() const override { return host_; }

  std::unique_ptr<FrameBuffer> buffer(const std::string& host, std::size_t capacity) override {
    if (!host.empty() && host == host_)
      if (const auto ring = shared_ring())
        if (auto slot = ring->buffer(capacity)) return slot;
    return pool_->buffer(capacity);  // all slots are lent, or the peer is elsewhere
  }

  DataPlaneStats stats() const override {
    std::lock_guard lock(mutex_);
    DataPlaneStats stats = stats_;
    stats.peers = static_cast<std::uint32_t>(peers_.size());
    for (const auto& [address, peer] : peers_) stats.in_flight += peer.outstanding();
    intake_.add_to(stats);
    stats.handshakes_refused = gate_.refused();
    return stats;
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);  // full means it is awake already
  }

  /// Made when it is first wanted; null where the system gives none.
  std::shared_ptr<SharedRing> shared_ring() {
    std::lock_guard lock(mutex_);
    if (!ring_ && !ring_failed_) {
      SharedRingOptions shared;
      shared.slots = options_.shared_slots;
      auto made = SharedRing::create(shared);
      ring_failed_ = !made.has_value();
      if (made) ring_ = std::move(*made);
      else log::warn("no shared memory for frames, they are sent whole", {{"error", to_string(made.error())}});
    }
    return ring_;
  }

  static TimePoint now() { return std::chrono::steady_clock::now(); }
  /// Under mutex_.
  PeerWindow& peer(const std::string& address) {
    return peers_.try_emplace(address, PeerWindowOptions{options_.window, options_.ack_timeout, options_.resend_after}).first->second;
  }

  // ---- the plane's thread ----

  void run() {
    while (!stopping_) {
      std::vector<zmq::pollitem_t> items = {{nullptr, wake_, ZMQ_POLLIN, 0}, {receiver_.handle(), 0, ZMQ_POLLIN, 0}};
      std::vector<std::string> names;
      for (auto& [address, dial] : senders_) {
        dial.add_to(items, static_cast<short>(ZMQ_POLLIN | (has_queued(address) ? ZMQ_POLLOUT : 0)));
        names.push_back(address);
      }
      const std::size_t sockets = items.size();
      for (const int process : intake_.process_handles()) items.push_back({nullptr, process, ZMQ_POLLIN, 0});
      zmq::poll(items, poll_timeout());
      if (std::any_of(items.begin() + static_cast<std::ptrdiff_t>(sockets), items.end(), [](const auto& item) { return item.revents != 0; }))
        intake_.drop_ended();
      std::uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_, &ignored, sizeof ignored);
      receive_frames();
      return_credits();
      for (auto& [address, dial] : senders_) dial.look();
      for (const std::string& address : names) receive_acks(address);
      resend();
      flush_queues();
      find_lost_peers();
    }
    senders_.clear();
    receiver_.close();
  }

  bool has_queued(const std::string& address) const {
    std::lock_guard lock(mutex_);
    const auto it = peers_.find(address);
    return it != peers_.end() && it->second.has_queued();
  }

  // Sleeps for good while nothing is outstanding: an idle plane costs nothing.
  std::chrono::milliseconds poll_timeout() const {
    std::lock_guard lock(mutex_);
    std::optional<TimePoint> first;
    for (const auto& [address, peer] : peers_)
      if (const auto due = peer.wake_at(); due && (!first || *due < *first)) first = due;
    if (!first) return std::chrono::milliseconds(-1);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - now());
    return std::clamp(left, std::chrono::milliseconds(1), options_.ack_timeout);
  }

  void receive_frames() {
    for (;;) {
      std::vector<zmq::message_t> parts;
      for (;;) {
        zmq::message_t part;
        if (!receiver_.recv(part, zmq::recv_flags::dontwait)) return;
        const bool more = part.more();
        if (parts.size() < 5) parts.push_back(std::move(part));
        if (!more) break;
      }
      if (parts.size() == 3) answer(parts[0], intake_.take_whole(bytes_of(parts[1]), bytes_of(parts[2])));
      else if (parts.size() == 4 && parts[3].size() == 0)
        answer(parts[0], intake_.take_shared(parts[0].to_string(), bytes_of(parts[1]), text_of(parts[2])));
      else count_malformed("a data frame has three parts");
    }
  }

  void answer(zmq::message_t& sender, const std::optional<wire::FrameAck>& ack) {
    if (ack) acknowledge(sender, *ack);
  }

  void return_credits() {
    for (const auto& [sender, ack] : intake_.take_credits()) {
      zmq::message_t to(sender.data(), sender.size());
      acknowledge(to, ack);
    }
  }

  void acknowledge(zmq::message_t& sender, const wire::FrameAck& ack) {
    const auto bytes = wire::to_bytes(wire::pack(ack, ack.epoch));
    try {
      if (receiver_.send(sender, zmq::send_flags::sndmore | zmq::send_flags::dontwait))
        receiver_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
    } catch (const zmq::error_t&) {
      // The sender is gone (router_mandatory): its own timeout tells its owner.
    }
  }

  void receive_acks(const std::string& address) {
    const auto dial = senders_.find(address);
    if (dial == senders_.end()) return;
    for (zmq::socket_t* socket : dial->second.sockets()) receive_acks(address, *socket);
  }

  void receive_acks(const std::string& address, zmq::socket_t& socket) {
    for (;;) {
      zmq::message_t message;
      if (!socket.recv(message, zmq::recv_flags::dontwait)) return;
      if (message.more()) {
        count_malformed("an acknowledgement has one part");
        continue;
      }
      const auto envelope = wire::from_bytes(bytes_of(message));
      if (!envelope) {
        count_malformed(envelope.error().detail);
        continue;
      }
      const auto ack = wire::unpack<wire::FrameAck>(*envelope);
      if (ack) take_ack(address, *ack);
      else count_malformed(ack.error().detail);
    }
  }

  void take_ack(const std::string& address, const wire::FrameAck& ack) {
    PeerWindow::Answer answer{};
    {
      std::lock_guard lock(mutex_);
      answer = peer(address).acknowledge(ack, now());
      if (answer == PeerWindow::Answer::unknown || answer == PeerWindow::Answer::held) return;
      stats_.acks += 1;
      stats_.refused += answer == PeerWindow::Answer::refused ? 1 : 0;
      stats_.resent += answer == PeerWindow::Answer::again ? 1 : 0;
    }
    if (answer == PeerWindow::Answer::again) return;  // it goes out with the next flush
    if (answer == PeerWindow::Answer::refused && handlers_.refused) handlers_.refused({ack.request, ack.epoch, ack.lease});
    if (handlers_.writable) handlers_.writable(address);
  }

  void resend() {
    std::lock_guard lock(mutex_);
    for (auto& [address, peer] : peers_) stats_.resent += peer.resend_due(now());
  }

  void flush_queues() {
    std::vector<std::string> addresses;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [address, peer] : peers_)
        if (peer.has_queued()) addresses.push_back(address);
    }
    for (const std::string& address : addresses) flush(address, dial_for(address));
  }

  ZmqDial& dial_for(const std::string& address) {
    const auto it = senders_.find(address);
    if (it != senders_.end()) return it->second;
    ZmqDial dial(context_, zmq::socket_type::dealer, options_.keys, [window = options_.window](zmq::socket_t& socket) {
      socket.set(zmq::sockopt::sndhwm, static_cast<int>(window) + 1);
      socket.set(zmq::sockopt::immediate, true);  // frames wait here, not for the peer's next incarnation
      socket.set(zmq::sockopt::reconnect_ivl, 100);
      socket.set(zmq::sockopt::reconnect_ivl_max, 2000);
    });
    try {
      dial.connect(address);
    } catch (const zmq::error_t& error) {
      log::warn("data plane address cannot be dialled", {{"address", address}, {"error", error.what()}});
    }
    return senders_.emplace(address, std::move(dial)).first->second;
  }

  /// The socket that has taken the first part of a message; null while none is connected.
  static zmq::socket_t* begin_message(ZmqDial& dial, const std::vector<std::uint8_t>& head) {
    for (zmq::socket_t* socket : dial.sockets()) {
      zmq::message_t first(head.data(), head.size());
      if (socket->send(first, zmq::send_flags::sndmore | zmq::send_flags::dontwait)) return socket;
    }
    return nullptr;
  }

  void flush(const std::string& address, ZmqDial& dial) {
    for (;;) {
      std::optional<OutgoingFrame> frame;
      {
        std::lock_guard lock(mutex_);
        frame = peer(address).next(now());
      }
      if (!frame) return;
      zmq::socket_t* const socket = begin_message(dial, wire::to_bytes(frame->header));
      if (socket == nullptr) {
        std::lock_guard lock(mutex_);  // not connected yet: poll says when
        peer(address).put_back();
        return;
      }
      const std::string& place = frame->payload->descriptor();
      const bool in_place = !place.empty() && !frame->whole;
      if (in_place) {
        socket->send(zmq::buffer(place), zmq::send_flags::sndmore);
        socket->send(zmq::message_t(), zmq::send_flags::none);
      } else {
        zmq::message_t second = share(frame->payload);
        socket->send(second, zmq::send_flags::none);  // the rest of an accepted message never blocks
      }
      std::lock_guard lock(mutex_);
      stats_.frames_sent += 1;
      stats_.shared_sent += in_place ? 1 : 0;
      stats_.bytes_sent += frame->payload->size();
    }
  }

  void find_lost_peers() {
    struct Lost {
      std::string address;
      std::vector<TransferId> transfers;
    };
    std::vector<Lost> lost;
    {
      std::lock_guard lock(mutex_);
      for (auto it = peers_.begin(); it != peers_.end();) {
        if (!it->second.lost(now())) {
          ++it;
          continue;
        }
        lost.push_back({it->first, it->second.transfers()});
        it = peers_.erase(it);
        stats_.lost_peers += 1;
      }
    }
    for (Lost& entry : lost) {
      senders_.erase(entry.address);  // with linger 0: unsent payloads are freed here
      log::warn("data plane peer lost", {{"address", entry.address}, {"transfers", entry.transfers.size()}});
      if (handlers_.lost) handlers_.lost(entry.address, entry.transfers);
    }
  }

  void count_malformed(std::string_view why) {
    {
      std::lock_guard lock(mutex_);
      stats_.malformed += 1;
    }
    log::warn("data plane message refused", {{"reason", why}});
  }

  const DataPlaneOptions options_;
  const DataPlaneHandlers handlers_;
  zmq::context_t context_{1};
  CurveGate gate_;  // outlives what it guards
  zmq::socket_t receiver_;
  std::map<std::string, ZmqDial> senders_;  // the plane's thread only
  FrameIntake intake_;                      // the same
  const std::shared_ptr<FramePool> pool_ = FramePool::create(8);
  const std::string host_;
  const int wake_;
  std::string address_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards peers_, stats_ and ring_; never held across a socket call or a handler
  std::shared_ptr<SharedRing> ring_;
  bool ring_failed_ = false;
  std::map<std::string, PeerWindow> peers_;
  DataPlaneStats stats_;
  std::thread thread_;
};

}  // namespace

Expected<std::unique_ptr<DataPlane>> make_zmq_plane(const DataPlaneOptions& options, DataPlaneHandlers handlers) {
  auto plane = std::make_unique<ZmqPlane>(options, std::move(handlers));
  TROUPE_TRY(plane->start());
  return plane;
}

}  // namespace troupe
