#include "common/transport/event_sockets.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>
#include <zmq.hpp>

#include "common/kv_events/vllm_codec.hpp"

namespace troupe {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<EventSender> make_sender(std::chrono::milliseconds idle, std::size_t max_batches = 100) {
  auto sender = EventSender::create({"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "kv@a@m", idle, max_batches});
  EXPECT_TRUE(sender.has_value());
  return std::move(*sender);
}

struct Heard {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<std::string, std::uint64_t>> batches;
  std::vector<std::vector<std::uint8_t>> payloads;
  int ends = 0;
  EventHandlers handlers() {
    EventHandlers out;
    out.received = [this](std::size_t, const std::string& topic, std::uint64_t number, auto payload) {
      const std::lock_guard lock(mutex);
      batches.emplace_back(topic, number);
      payloads.emplace_back(payload.begin(), payload.end());
      changed.notify_all();
    };
    out.replay_ended = [this](std::size_t) {
      const std::lock_guard lock(mutex);
      ++ends;
      changed.notify_all();
    };
    return out;
  }
  bool wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 20s, until);
  }
};

TEST(EventSockets, ASubscriberHearsBatchesAndReplaysWhatItMissed) {
  const auto sender = make_sender(20ms);
  for (std::uint8_t i = 0; i < 3; ++i) sender->publish({i});  // nobody listens yet
  Heard heard;
  const auto receiver = EventReceiver::create({{sender->address(), sender->replay_address()}}, heard.handlers());
  ASSERT_TRUE(receiver.has_value());
  ASSERT_TRUE(heard.wait([&] { return !heard.batches.empty(); })) << "an idle publisher is heard, too";
  EXPECT_EQ(heard.batches[0].first, "kv@a@m");
  EXPECT_GE(heard.batches[0].second, 3u);
  EXPECT_TRUE(kv_events::decode(heard.payloads[0])->events.empty());
  std::size_t replayed = 0;
  const auto whole = [&] {  // one that found no connection ends without a batch
    const std::pair<std::string, std::uint64_t> first("", 1);
    return heard.ends != 0 && std::ranges::find(heard.batches, first) != heard.batches.end();
  };
  const auto came = [&] {
    std::unique_lock lock(heard.mutex);
    return heard.changed.wait_for(lock, 200ms, whole);
  };
  for (int i = 0; i < 100 && !came(); ++i) (*receiver)->ask_replay(0, 1);  // refused until it is connected
  const std::lock_guard lock(heard.mutex);
  ASSERT_TRUE(whole());
  for (std::size_t i = 0; i < heard.batches.size(); ++i) {
    if (heard.batches[i] == std::pair<std::string, std::uint64_t>("", 1)) {
      ++replayed;
      EXPECT_EQ(heard.payloads[i], std::vector<std::uint8_t>{1});
    }
    EXPECT_NE(heard.batches[i].second, 0u);
  }
  EXPECT_GE(replayed, 1u);
}

// As vLLM's own example subscriber does it: SUB for batches, REQ for replays.
TEST(EventSockets, AForeignSubscriberIsAnsweredInItsOwnFrames) {
  const auto sender = make_sender(1h, 2);
  for (std::uint8_t i = 0; i < 4; ++i) sender->publish({i, i});
  zmq::context_t context;
  zmq::socket_t dealer(context, zmq::socket_type::req);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.set(zmq::sockopt::rcvtimeo, 20000);
  dealer.connect(sender->replay_address());
  const std::array<std::uint8_t, 8> from{0, 0, 0, 0, 0, 0, 0, 1};
  dealer.send(zmq::buffer(from), zmq::send_flags::none);
  zmq::message_t number, payload;
  ASSERT_TRUE(dealer.recv(number));
  ASSERT_TRUE(number.more());
  ASSERT_TRUE(dealer.recv(payload));
  EXPECT_EQ(number.to_string(), std::string("\0\0\0\0\0\0\0\2", 8)) << "0 and 1 are no longer kept";
  EXPECT_EQ(payload.to_string(), std::string("\2\2"));
  EXPECT_FALSE(payload.more());
}

TEST(EventSockets, ReplaysEndWithMinusOne) {
  const auto sender = make_sender(1h);
  sender->publish({7});
  zmq::context_t context;
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.set(zmq::sockopt::rcvtimeo, 20000);
  dealer.connect(sender->replay_address());
  dealer.send(zmq::str_buffer("nonsense"), zmq::send_flags::none);  // refused, and the next one is answered
  dealer.send(zmq::str_buffer(""), zmq::send_flags::sndmore);
  dealer.send(zmq::str_buffer("\0\0\0\0\0\0\0\0"), zmq::send_flags::none);
  std::vector<std::string> parts;
  for (int i = 0; i < 6; ++i) {
    zmq::message_t part;
    ASSERT_TRUE(dealer.recv(part));
    parts.push_back(part.to_string());
  }
  EXPECT_EQ(parts, (std::vector<std::string>{"", std::string(8, '\0'), "\7", "", std::string(8, '\xFF'), ""}));
}

TEST(EventSockets, AnAddressInUseIsSaid) {
  const auto first = make_sender(1h);
  EXPECT_EQ(EventSender::create({first->address(), "", "t"}).error().code, Errc::address_in_use);
  EXPECT_EQ(EventSender::create({"nonsense", "", "t"}).error().code, Errc::invalid_argument);
  EXPECT_EQ(EventReceiver::create({{"nonsense", ""}}, {}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace troupe
