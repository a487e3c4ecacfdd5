#include "common/transport/data_plane.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <zmq.hpp>

#include "common/wire/frame.hpp"

namespace troupe {
namespace {

using namespace std::chrono_literals;

// Counts what a plane reports; wait() ends on the condition or fails after a generous bound.
struct Recorder {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<wire::KvFrame> frames;
  std::vector<FramePayload> payloads;
  int writable = 0, refused = 0, lost = 0;
  bool accept = true;
  std::function<void()> on_frame;

  DataPlaneHandlers handlers() {
    DataPlaneHandlers h;
    h.received = [this](const wire::Envelope& header, FramePayload payload) {
      if (on_frame) on_frame();
      std::lock_guard lock(mutex);
      frames.push_back(wire::unpack<wire::KvFrame>(header).value());
      payloads.push_back(std::move(payload));
      changed.notify_all();
      return accept;
    };
    h.writable = [this](const std::string&) { count(writable); };
    h.refused = [this](const TransferId&) { count(refused); };
    h.lost = [this](const std::string&, const auto&) { count(lost); };
    return h;
  }
  void count(int& counter) {
    std::lock_guard lock(mutex);
    ++counter;
    changed.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 20s, condition);
  }
};

struct Frame {
  wire::Envelope header;
  RequestId request;
  FramePayload payload;
};

Frame make_frame(std::uint32_t number, std::uint32_t bytes = 1024, RequestId request = {1, 1}) {
  std::vector<std::uint8_t> made(bytes);
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::uint8_t>(i * 7 + number);
  FramePayload payload = make_payload(std::move(made));
  wire::KvFrame frame{request, Epoch{3}, ModelId{9, 9}, number, 0, 1, {0}, bytes, frame_checksum({payload->data(), payload->size()}), {}};
  return {wire::pack(frame, Epoch{3}), request, payload};
}

std::unique_ptr<DataPlane> open_plane(Recorder& recorder, std::string listen, std::chrono::milliseconds timeout = 5000ms) {
  DataPlaneOptions options;
  options.listen = std::move(listen);
  options.ack_timeout = timeout;
  auto plane = DataPlane::create(options, recorder.handlers());
  EXPECT_TRUE(plane.has_value()) << (plane ? "" : to_string(plane.error()));
  return plane ? std::move(*plane) : nullptr;
}

class BothPlanes : public ::testing::TestWithParam<const char*> {};

TEST_P(BothPlanes, DeliverFramesInOrderAndReturnCredit) {
  Recorder in, out;
  const bool local = std::string(GetParam()) == "local";
  auto receiver = open_plane(in, local ? "local://receiver" : "tcp://127.0.0.1:0");
  auto sender = open_plane(out, local ? "local://sender" : "tcp://127.0.0.1:0");
  constexpr std::uint32_t kFrames = 50;
  for (std::uint32_t i = 0; i < kFrames;) {
    const Frame frame = make_frame(i, 64 * 1024);
    const SendResult result = sender->send(receiver->address(), frame.header, frame.request, frame.payload);
    ASSERT_NE(result, SendResult::closed);
    if (result == SendResult::sent) {
      ++i;
    } else {
      int before = 0;
      {
        std::lock_guard lock(out.mutex);
        before = out.writable;
      }
      if (sender->stats().in_flight == 4) {
        ASSERT_TRUE(out.wait([&] { return out.writable > before || sender->stats().in_flight < 4; }));
      }
    }
  }
  ASSERT_TRUE(in.wait([&] { return in.frames.size() == kFrames; }));
  for (std::uint32_t i = 0; i < kFrames; ++i) {
    EXPECT_EQ(in.frames[i].frame, i);
    EXPECT_TRUE(std::ranges::equal(*in.payloads[i], *make_frame(i, 64 * 1024).payload));
  }
  EXPECT_EQ(receiver->stats().bytes_received, kFrames * 64u * 1024u);
}

TEST_P(BothPlanes, TellTheSenderThatNobodyWaits) {
  Recorder in, out;
  const bool local = std::string(GetParam()) == "local";
  in.accept = false;
  auto receiver = open_plane(in, local ? "local://receiver" : "tcp://127.0.0.1:0");
  auto sender = open_plane(out, local ? "local://sender" : "tcp://127.0.0.1:0");
  const Frame frame = make_frame(0);
  ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, frame.payload), SendResult::sent);
  EXPECT_TRUE(out.wait([&] { return out.refused == 1; }));
  EXPECT_EQ(sender->stats().refused, 1u);
}

INSTANTIATE_TEST_SUITE_P(DataPlane, BothPlanes, ::testing::Values("local", "tcp"), [](const auto& instance) { return std::string(instance.param); });

TEST(LocalPlane, HandsOverThePayloadWithoutACopy) {
  Recorder in, out;
  auto receiver = open_plane(in, "local://receiver");
  auto sender = open_plane(out, "local://sender");
  const Frame frame = make_frame(0);
  ASSERT_EQ(sender->send("local://receiver", frame.header, frame.request, frame.payload), SendResult::sent);
  ASSERT_EQ(in.payloads.size(), 1u);
  EXPECT_EQ(in.payloads[0].get(), frame.payload.get());
  EXPECT_EQ(sender->send("local://nobody", frame.header, frame.request, frame.payload), SendResult::closed);
}

TEST(LocalPlane, RefusesATakenName) {
  Recorder in;
  auto receiver = open_plane(in, "local://one");
  DataPlaneOptions options;
  options.listen = "local://one";
  EXPECT_EQ(DataPlane::create(options, in.handlers()).error().code, Errc::address_in_use);
}

TEST(ZmqPlane, SaysThatTheWindowIsFullAndThenThatItHasRoom) {
  Recorder in, out;
  std::mutex gate;
  std::unique_lock hold(gate);
  in.on_frame = [&] { std::lock_guard pass(gate); };
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  for (std::uint32_t i = 0; i < 4; ++i) {
    const Frame frame = make_frame(i);
    ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, frame.payload), SendResult::sent);
  }
  const Frame fifth = make_frame(4);
  EXPECT_EQ(sender->send(receiver->address(), fifth.header, fifth.request, fifth.payload), SendResult::window_full);
  hold.unlock();
  EXPECT_TRUE(out.wait([&] { return out.writable == 4; }));
  EXPECT_EQ(sender->send(receiver->address(), fifth.header, fifth.request, fifth.payload), SendResult::sent);
  EXPECT_TRUE(in.wait([&] { return in.frames.size() == 5; }));
}

TEST(ZmqPlane, ReportsAPeerThatNeverAnswersAndForgetsItsFrames) {
  Recorder out;
  auto sender = open_plane(out, "tcp://127.0.0.1:0", 200ms);
  zmq::context_t context;
  zmq::socket_t silent(context, zmq::socket_type::router);
  silent.bind("tcp://127.0.0.1:*");
  const std::string address = silent.get(zmq::sockopt::last_endpoint);
  const Frame frame = make_frame(0);
  ASSERT_EQ(sender->send(address, frame.header, frame.request, frame.payload), SendResult::sent);
  EXPECT_TRUE(out.wait([&] { return out.lost == 1; }));
  EXPECT_EQ(sender->stats().in_flight, 0u);
  EXPECT_EQ(sender->stats().peers, 0u);
}

TEST(ZmqPlane, DropsFramesOfACancelledRequestThatHaveNotLeft) {
  Recorder out;
  auto sender = open_plane(out, "tcp://127.0.0.1:0", 60s);
  zmq::context_t context;
  zmq::socket_t taken(context, zmq::socket_type::router);
  taken.bind("tcp://127.0.0.1:*");
  const std::string address = taken.get(zmq::sockopt::last_endpoint);
  taken.close();  // nobody listens: frames stay queued
  const Frame frame = make_frame(0);
  ASSERT_EQ(sender->send(address, frame.header, frame.request, frame.payload), SendResult::sent);
  EXPECT_EQ(sender->stats().in_flight, 1u);
  sender->drop(frame.request);
  EXPECT_EQ(sender->stats().in_flight, 0u);
}

TEST(ZmqPlane, RefusesGarbageACorruptPayloadAndAWrongLengthWithoutHarm) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  zmq::context_t context;
  zmq::socket_t raw(context, zmq::socket_type::dealer);
  raw.set(zmq::sockopt::linger, 0);
  raw.connect(receiver->address());
  raw.send(zmq::str_buffer("junk"), zmq::send_flags::none);
  Frame frame = make_frame(0);
  const auto head = wire::to_bytes(frame.header);
  std::vector<std::uint8_t> body(frame.payload->begin(), frame.payload->end());
  body.pop_back();
  raw.send(zmq::buffer(head), zmq::send_flags::sndmore);
  raw.send(zmq::buffer(body), zmq::send_flags::none);
  body.assign(frame.payload->begin(), frame.payload->end());
  body[17] ^= 1;
  raw.send(zmq::buffer(head), zmq::send_flags::sndmore);
  raw.send(zmq::buffer(body), zmq::send_flags::none);
  zmq::message_t ack_bytes;
  ASSERT_TRUE(raw.recv(ack_bytes).has_value());  // the corrupt frame alone is answered: its header was whole
  const auto ack = wire::unpack<wire::FrameAck>(
      wire::from_bytes({static_cast<const std::uint8_t*>(ack_bytes.data()), ack_bytes.size()}).value());
  ASSERT_TRUE(ack.has_value());
  EXPECT_FALSE(ack->accepted);
  EXPECT_EQ(receiver->stats().malformed, 3u);
  EXPECT_TRUE(in.frames.empty());
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, frame.payload), SendResult::sent);
  EXPECT_TRUE(in.wait([&] { return in.frames.size() == 1; }));
}

/// Between a sender and a receiver: does with frames and acknowledgements what it is told.
class Proxy {
 public:
  /// Called on the proxy's thread for each frame, with its payload. false: it is lost.
  using Frames = std::function<bool(std::vector<std::uint8_t>& payload)>;
  Proxy(const std::string& to, Frames frames) : frames_(std::move(frames)) {
    front_.set(zmq::sockopt::linger, 0);
    back_.set(zmq::sockopt::linger, 0);
    front_.bind("tcp://127.0.0.1:*");
    address_ = front_.get(zmq::sockopt::last_endpoint);
    back_.connect(to);
    thread_ = std::thread([this] { run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
  }
  const std::string& address() const { return address_; }

 private:
  void run() {
    while (!stop_) {
      std::vector<zmq::pollitem_t> items = {{front_.handle(), 0, ZMQ_POLLIN, 0}, {back_.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(items, 10ms);
      if (items[0].revents != 0) {
        zmq::message_t sender, head, body;
        if (!front_.recv(sender) || !front_.recv(head) || !front_.recv(body)) continue;
        sender_.copy(sender);
        std::vector<std::uint8_t> payload(static_cast<std::uint8_t*>(body.data()), static_cast<std::uint8_t*>(body.data()) + body.size());
        if (!frames_(payload)) continue;
        back_.send(head, zmq::send_flags::sndmore);
        back_.send(zmq::buffer(payload), zmq::send_flags::none);
      }
      if (items[1].revents != 0) {
        zmq::message_t answer, to;
        if (!back_.recv(answer)) continue;
        to.copy(sender_);
        front_.send(to, zmq::send_flags::sndmore);
        front_.send(answer, zmq::send_flags::none);
      }
    }
  }
  Frames frames_;
  zmq::context_t context_;
  zmq::socket_t front_{context_, zmq::socket_type::router}, back_{context_, zmq::socket_type::dealer};
  zmq::message_t sender_;
  std::string address_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(ZmqPlane, SendsDamagedAndLostFramesAgainAndHandsRepeatsOverOnce) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  std::map<int, int> times;  // each frame came, by its number: the first byte
  Proxy proxy(receiver->address(), [&](std::vector<std::uint8_t>& payload) {
    const int number = payload[0], before = times[number]++;
    if (number % 3 == 0 && before == 0) payload[payload.size() / 2] ^= 1;
    return !(number % 3 == 1 && before == 0) && !(number % 6 == 3 && before == 1);
  });
  DataPlaneOptions options;
  options.listen = "tcp://127.0.0.1:0";
  options.resend_after = 50ms;
  auto sender = std::move(*DataPlane::create(options, out.handlers()));
  constexpr std::uint32_t kFrames = 60;
  for (std::uint32_t i = 0; i < kFrames;) {
    const Frame frame = make_frame(i);
    if (sender->send(proxy.address(), frame.header, frame.request, frame.payload) == SendResult::sent) {
      ++i;
    } else {
      ASSERT_TRUE(out.wait([&] { return sender->stats().in_flight < 4; }));
    }
  }
  ASSERT_TRUE(in.wait([&] { return in.frames.size() >= kFrames; }));
  ASSERT_TRUE(out.wait([&] { return sender->stats().in_flight == 0; }));
  std::set<std::uint32_t> numbers;
  for (std::size_t i = 0; i < in.frames.size(); ++i) {
    EXPECT_TRUE(numbers.insert(in.frames[i].frame).second) << "handed over once";
    EXPECT_TRUE(std::ranges::equal(*in.payloads[i], *make_frame(in.frames[i].frame).payload));
  }
  EXPECT_EQ(numbers.size(), kFrames);
  EXPECT_GE(sender->stats().resent, 50u);
  EXPECT_EQ(sender->stats().refused, 0u);
  EXPECT_EQ(sender->stats().lost_peers, 0u);
}

TEST(ZmqPlane, AFrameThatIsDamagedEveryTimeIsGivenUp) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  int frames = 0;
  Proxy proxy(receiver->address(), [&](std::vector<std::uint8_t>& payload) {
    ++frames;
    payload[0] ^= 1;
    return true;
  });
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  const Frame frame = make_frame(0);
  ASSERT_EQ(sender->send(proxy.address(), frame.header, frame.request, frame.payload), SendResult::sent);
  ASSERT_TRUE(out.wait([&] { return out.refused == 1; }));
  EXPECT_EQ(frames, 3);
  EXPECT_TRUE(in.frames.empty());
}

/// A frame written where its receiver can read it, if the plane shares with that host.
Frame write_frame(DataPlane& plane, const std::string& host, std::uint32_t number, std::uint32_t bytes = 4096) {
  const Frame like = make_frame(number, bytes);
  const auto buffer = plane.buffer(host, bytes);
  std::ranges::copy(*like.payload, buffer->append(bytes).begin());
  return {like.header, like.request, buffer->finish()};
}

TEST(ZmqPlane, BetweenProcessesOfAHostAFrameStaysWhereItWasWritten) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  for (std::uint32_t i = 0; i < 40; ++i) {  // more than there are slots
    const Frame frame = write_frame(*sender, receiver->host(), i, 64 * 1024);
    ASSERT_FALSE(frame.payload->descriptor().empty());
    ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, frame.payload), SendResult::sent);
    ASSERT_TRUE(in.wait([&] { return in.frames.size() == i + 1; }));
    FramePayload got;
    {
      std::lock_guard lock(in.mutex);
      got = std::exchange(in.payloads.back(), nullptr);
    }
    EXPECT_TRUE(std::ranges::equal(*got, *make_frame(i, 64 * 1024).payload));
    EXPECT_TRUE(got->intact());
    EXPECT_EQ(sender->stats().in_flight, 1u) << "the credit waits for the reader";
    got.reset();
    ASSERT_TRUE(out.wait([&] { return sender->stats().in_flight == 0; }));
  }
  EXPECT_EQ(sender->stats().shared_sent, 40u);
  EXPECT_EQ(receiver->stats().shared_received, 40u);
  EXPECT_EQ(receiver->stats().segments, 1u);
}

TEST(ZmqPlane, AFrameThatIsReadForLongIsNeitherLostNorHandedOverTwice) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  DataPlaneOptions options;
  options.listen = "tcp://127.0.0.1:0";
  options.resend_after = 20ms;
  options.ack_timeout = 200ms;
  auto sender = std::move(*DataPlane::create(options, out.handlers()));
  const Frame frame = write_frame(*sender, receiver->host(), 0);
  ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, frame.payload), SendResult::sent);
  for (int i = 0; i < 20000 && sender->stats().resent < 30; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_GE(sender->stats().resent, 30u) << "far beyond the time-out";
  EXPECT_EQ(in.frames.size(), 1u);
  EXPECT_EQ(out.lost, 0);
  EXPECT_EQ(sender->stats().in_flight, 1u);
  {
    std::lock_guard lock(in.mutex);
    in.payloads.clear();
  }
  EXPECT_TRUE(out.wait([&] { return sender->stats().in_flight == 0; }));
}

TEST(ZmqPlane, WhatCannotBeMappedIsSentWhole) {
  Recorder in, out;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  EXPECT_TRUE(write_frame(*sender, "another host", 0).payload->descriptor().empty());
  EXPECT_TRUE(write_frame(*sender, "", 0).payload->descriptor().empty());
  const Frame good = write_frame(*sender, sender->host(), 1);
  // As if another process name space gave the number to somebody else.
  const Frame odd{good.header, good.request,
                  std::make_shared<const FrameBytes>(std::span(good.payload->data(), good.payload->size()), good.payload, "1:0:00:0:1:4096")};
  ASSERT_EQ(sender->send(receiver->address(), odd.header, odd.request, odd.payload), SendResult::sent);
  ASSERT_TRUE(in.wait([&] { return in.frames.size() == 1; }));
  EXPECT_TRUE(std::ranges::equal(*in.payloads[0], *good.payload));
  EXPECT_EQ(receiver->stats().shared_received, 0u);
  EXPECT_EQ(sender->stats().resent, 1u);
}

TEST(ZmqPlane, ARefusedFrameInSharedMemoryFreesItsSlot) {
  Recorder in, out;
  in.accept = false;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  auto sender = open_plane(out, "tcp://127.0.0.1:0");
  Frame frame = write_frame(*sender, receiver->host(), 0);
  ASSERT_EQ(sender->send(receiver->address(), frame.header, frame.request, std::exchange(frame.payload, nullptr)), SendResult::sent);
  EXPECT_TRUE(out.wait([&] { return out.refused == 1; }));
  ASSERT_TRUE(in.wait([&] { return in.payloads.size() == 1; }));
  EXPECT_FALSE(in.payloads[0]->intact()) << "the slot is its sender's again";
}

TEST(DataPlane, RefusesATakenPortAndAnUnknownScheme) {
  Recorder in;
  auto receiver = open_plane(in, "tcp://127.0.0.1:0");
  DataPlaneOptions options;
  options.listen = receiver->address();
  EXPECT_EQ(DataPlane::create(options, in.handlers()).error().code, Errc::address_in_use);
  options.listen = "carrier-pigeon://roof";
  EXPECT_EQ(DataPlane::create(options, in.handlers()).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace troupe
