// Data planes and event feeds with keys: members understand each other at every step of a rotation, others
// get nothing through.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <zmq.hpp>

#include "common/base/log.hpp"
#include "common/transport/curve.hpp"
#include "common/transport/data_plane.hpp"
#include "common/transport/event_sockets.hpp"
#include "common/wire/frame.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe {
namespace {

using namespace std::chrono_literals;
using Keys = std::shared_ptr<const security::ClusterKeys>;

/// A cluster's folder at its first step.
class Cluster {
 public:
  Cluster() { EXPECT_TRUE(security::make_keys(folder_.path(), maker())); }
  [[nodiscard]] Keys keys() const { return security::load_keys(folder_.path()).value(); }
  void rotate() { EXPECT_TRUE(security::rotate_keys(folder_.path(), maker())); }
  void retire() { EXPECT_TRUE(security::retire_keys(folder_.path())); }

 private:
  static security::KeyMaker maker() { return {make_curve_pair, {}}; }
  test::SecretFolder folder_;
};

/// A plane and what it was told.
class Peer {
 public:
  explicit Peer(const Keys& keys, std::chrono::milliseconds ack_timeout = 10s) {
    DataPlaneOptions options;
    options.listen = "tcp://127.0.0.1:0";
    options.ack_timeout = ack_timeout;
    options.keys = keys;
    DataPlaneHandlers handlers;
    handlers.received = [this](const wire::Envelope&, const FramePayload&) {
      count(received_);
      return true;
    };
    handlers.lost = [this](const std::string&, const auto&) { count(lost_); };
    plane_ = DataPlane::create(options, std::move(handlers)).value();
  }
  void send_to(const Peer& other) {
    const FramePayload payload = make_payload(std::vector<std::uint8_t>(1024, 7));
    const RequestId request{1, 1};
    const wire::KvFrame frame{request, Epoch{3}, ModelId{9, 9},
                              next_++, 0,        1,
                              {0},     1024,     frame_checksum({payload->data(), payload->size()}),
                              {}};
    ASSERT_EQ(plane_->send(other.plane_->address(), wire::pack(frame, Epoch{3}), request, payload),
              SendResult::sent);
  }
  bool wait_received(int number) {
    return wait([&] { return received_ >= number; });
  }
  bool wait_lost() {
    return wait([&] { return lost_ != 0; });
  }
  /// The plane tells nobody when it refuses.
  bool wait_refused(std::uint64_t number) {
    for (int i = 0; i < 2000 && stats().handshakes_refused < number; ++i) std::this_thread::sleep_for(10ms);
    return stats().handshakes_refused >= number;
  }
  [[nodiscard]] int received() {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  [[nodiscard]] DataPlaneStats stats() const { return plane_->stats(); }
  [[nodiscard]] const std::string& address() const { return plane_->address(); }
  [[nodiscard]] std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(address().substr(address().rfind(':') + 1)));
  }

 private:
  void count(int& counter) {
    const std::lock_guard lock(mutex_);
    ++counter;
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, until);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int received_ = 0, lost_ = 0;
  std::uint32_t next_ = 0;
  std::unique_ptr<DataPlane> plane_;
};

/// Both directions.
void expect_exchange(const Keys& left_keys, const Keys& right_keys) {
  Peer left(left_keys), right(right_keys);
  left.send_to(right);
  EXPECT_TRUE(right.wait_received(1));
  right.send_to(left);
  EXPECT_TRUE(left.wait_received(1));
}

class Tcp {
 public:
  explicit Tcp(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~Tcp() { ::close(fd_); }
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;
  void send(std::string_view bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  /// What comes until the peer closes; it does within 20 s.
  [[nodiscard]] std::string read_to_the_end() const {
    std::string all;
    for (;;) {
      pollfd state{fd_, POLLIN, 0};
      if (::poll(&state, 1, 20'000) != 1) {
        ADD_FAILURE() << "the connection stays open";
        return all;
      }
      char piece[4096];
      const ssize_t size = ::recv(fd_, piece, sizeof piece, 0);
      if (size <= 0) return all;
      all.append(piece, static_cast<std::size_t>(size));
    }
  }

 private:
  int fd_;
};

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(Curve, PairsAreFreshAndMadeOfZ85) {
  const auto first = make_curve_pair(), second = make_curve_pair();
  EXPECT_EQ(first.public_key.size(), 40u);
  EXPECT_EQ(first.secret_key.size(), 40u);
  EXPECT_NE(first.public_key, second.public_key);
  EXPECT_NE(first.secret_key, second.secret_key);
}

TEST(Curve, MembersExchangeFramesAndRefuseNobody) {
  const Cluster cluster;
  Peer left(cluster.keys()), right(cluster.keys());
  for (int i = 0; i < 3; ++i) left.send_to(right);
  EXPECT_TRUE(right.wait_received(3));
  EXPECT_EQ(right.stats().handshakes_refused, 0u);
  EXPECT_EQ(left.stats().handshakes_refused, 0u);
}

TEST(Curve, APeerWithoutKeysAndOneWithOthersGetNothingThrough) {
  const Cluster cluster, foreign;
  Peer member(cluster.keys());
  Peer plain(nullptr, 500ms), stranger(foreign.keys(), 500ms);
  plain.send_to(member);
  stranger.send_to(member);
  EXPECT_TRUE(plain.wait_lost());
  EXPECT_TRUE(stranger.wait_lost());
  EXPECT_TRUE(member.wait_refused(2));
  EXPECT_EQ(member.received(), 0);
  Peer friendly(cluster.keys());  // and members are served as before
  friendly.send_to(member);
  EXPECT_TRUE(member.wait_received(1));
}

TEST(Curve, AMemberSendsNothingToAPeerWithoutKeysOrWithOthers) {
  const Cluster cluster, foreign;
  Peer member(cluster.keys(), 500ms);
  Peer plain(nullptr), stranger(foreign.keys());
  member.send_to(plain);
  member.send_to(stranger);
  EXPECT_TRUE(member.wait_lost());
  EXPECT_EQ(plain.received(), 0);
  EXPECT_EQ(stranger.received(), 0);
}

// The public key is in no file of its own, but it is no secret either: knowing it must not be enough.
TEST(Curve, WhoKnowsThePublicKeyAloneIsRefused) {
  const Cluster cluster;
  Peer member(cluster.keys());
  const auto own = make_curve_pair();
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::curve_serverkey, cluster.keys()->current().curve.public_key);
  socket.set(zmq::sockopt::curve_publickey, own.public_key);
  socket.set(zmq::sockopt::curve_secretkey, own.secret_key);
  socket.connect(member.address());
  socket.send(zmq::str_buffer("anything"), zmq::send_flags::dontwait);
  EXPECT_TRUE(member.wait_refused(1));
  EXPECT_EQ(member.stats().malformed, 0u) << "the message did not come as far as to be looked at";
}

TEST(Curve, MembersBeforeAndAfterEachStepOfARotationUnderstandEachOther) {
  Cluster cluster;
  const Keys first = cluster.keys();
  cluster.rotate();
  const Keys rotated = cluster.keys();
  cluster.retire();
  const Keys retired = cluster.keys();
  expect_exchange(first, rotated);
  expect_exchange(rotated, retired);
}

TEST(Curve, WhatIsRetiredIsRefused) {
  Cluster cluster;
  const Keys first = cluster.keys();
  cluster.rotate();
  cluster.retire();
  cluster.rotate();  // the old member knows generations 1 and 2, others now 3 and 4
  cluster.retire();
  Peer old(first, 500ms), member(cluster.keys());
  old.send_to(member);
  EXPECT_TRUE(old.wait_lost());
  EXPECT_EQ(member.received(), 0);
  EXPECT_TRUE(member.wait_refused(1));
}

std::size_t count_of(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

/// The greeting of ZMTP 3 with the mechanism NULL.
std::string plain_greeting() {
  std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16);
  greeting.resize(64);
  return greeting;
}

TEST(Curve, ARefusedAddressIsLoggedOnceAndNoKeyIs) {
  const Cluster cluster;
  testing::internal::CaptureStderr();
  {
    Peer member(cluster.keys());
    for (int i = 0; i < 5; ++i) {
      const Tcp plain(member.port());
      std::this_thread::sleep_for(20ms);  // so that it is looked at before it has left
      plain.send(plain_greeting());
      (void)plain.read_to_the_end();
    }
    EXPECT_TRUE(member.wait_refused(5));
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(text, "address=127.0.0.1"), 1u) << text;
  EXPECT_LE(count_of(text, "a peer was refused"), 2u)
      << "one more at most for those that left too soon: " << text;
  for (const Keys keys = cluster.keys(); const auto& each : keys->generations) EXPECT_EQ(count_of(text, each.curve.secret_key), 0u);
}

TEST(Curve, ForeignAndSilentConnectionsAreClosedAndHoldNothing) {
  const Cluster cluster;
  Peer member(cluster.keys()), sender(cluster.keys());
  sender.send_to(member);
  ASSERT_TRUE(member.wait_received(1));
  const std::size_t before = open_descriptors();
  {
    const Tcp silent(member.port());  // closed by its deadline, while others are served
    std::string heard;
    for (int i = 0; i < 50; ++i) {
      const Tcp http(member.port());
      http.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
      heard += http.read_to_the_end();
    }
    for (const Keys keys = cluster.keys(); const auto& each : keys->generations)
      EXPECT_EQ(heard.find(each.curve.public_key), std::string::npos);
    sender.send_to(member);
    EXPECT_TRUE(member.wait_received(2));
    (void)silent.read_to_the_end();
  }
  EXPECT_TRUE(member.wait_refused(1)) << "the silent one; what speaks no ZMTP is closed and not counted";
  for (int i = 0; i < 1000 && open_descriptors() > before; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_LE(open_descriptors(), before);
}

struct Heard {
  std::mutex mutex;
  std::condition_variable changed;
  int batches = 0, replays = 0;
  EventHandlers handlers() {
    EventHandlers out;
    out.received = [this](std::size_t, const std::string& topic, std::uint64_t, auto) {
      const std::lock_guard lock(mutex);
      ++(topic.empty() ? replays : batches);
      changed.notify_all();
    };
    out.replay_ended = [](std::size_t) {};
    return out;
  }
  bool wait(const std::function<bool()>& until, std::chrono::milliseconds bound = 20s) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, bound, until);
  }
};

TEST(Curve, FeedsAreHeardAndReplayedByMembersOfEveryStepAndByNobodyElse) {
  Cluster cluster;
  const Cluster foreign;
  const Keys first = cluster.keys();
  cluster.rotate();
  EventSenderOptions options{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "kv@a@m", 20ms};
  options.keys = cluster.keys();
  const auto sender = EventSender::create(options).value();
  sender->publish({1, 2, 3});
  Heard member, older, plain, stranger;
  const std::vector<EventSource> sources{{sender->address(), sender->replay_address()}};
  const auto a = EventReceiver::create(sources, member.handlers(), cluster.keys()).value();
  const auto b = EventReceiver::create(sources, older.handlers(), first).value();
  const auto c = EventReceiver::create(sources, plain.handlers()).value();
  const auto d = EventReceiver::create(sources, stranger.handlers(), foreign.keys()).value();
  for (Heard* heard : {&member, &older}) {
    EXPECT_TRUE(heard->wait([&] { return heard->batches >= 2; }));
    const auto replayed = [&] { return heard->replays != 0; };
    for (int i = 0; i < 100 && !heard->wait(replayed, 100ms); ++i)
      (heard == &member ? a : b)->ask_replay(0, 0);
    EXPECT_TRUE(heard->wait(replayed));
  }
  for (int i = 0; i < 2000 && sender->handshakes_refused() < 2; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_GE(sender->handshakes_refused(), 2u);
  for (Heard* heard : {&plain, &stranger}) {
    const std::lock_guard lock(heard->mutex);
    EXPECT_EQ(heard->batches + heard->replays, 0);
  }
}

}  // namespace
}  // namespace troupe
