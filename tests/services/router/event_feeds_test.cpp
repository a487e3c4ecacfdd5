#include "services/router/event_feeds.hpp"

#include <gtest/gtest.h>

#include "common/kv_events/vllm_codec.hpp"
#include "services/router/event_intake.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;
using Keys = std::vector<BlockKey>;

const ModelId kModel{5, 5};
const NodeId kNode{1, 1};

Keys keys(std::uint64_t first, std::uint64_t end) {
  Keys out;
  for (std::uint64_t i = first; i < end; ++i) out.push_back({i, i});
  return out;
}

/// A router with one source of events and one member.
struct Rig {
  Rig() {
    RouterOptions options;
    options.event_sources = 1;
    options.ask_replay = [this](std::size_t source, std::uint64_t from) {
      EXPECT_EQ(source, 0u);
      asked.push_back(from);
    };
    state = std::move(*RouterState::create(options));
    join(kNode);
  }
  void join(const NodeId& node) {
    wire::Join message;
    message.node = node;
    message.name = "decode-0";
    message.control_address = "tcp://n" + std::to_string(node.low);
    message.models = {{"m", kModel, 8192, 1, 1, "n"}};
    actors::Outbox out;
    state->receive(message.control_address, wire::pack(message), now, out);
  }
  static std::vector<std::uint8_t> payload(std::uint64_t number, std::vector<kv_events::Event> events,
                                           double epoch = 0) {
    return kv_events::encode({1000 + epoch + static_cast<double>(number), std::move(events), {}});
  }
  std::vector<actors::Outgoing> take(std::uint64_t number, std::vector<kv_events::Event> events,
                                     const std::string& topic = "kv@" + to_hex(kNode) + "@m") {
    actors::Outbox out;
    state->on_kv_events(0, topic, number, payload(number, std::move(events)), now, out);
    return out.take();
  }
  std::vector<actors::Outgoing> tick(Duration later) {
    now += later;
    wire::Heartbeat beat;
    beat.node = kNode;
    actors::Outbox out;
    state->receive("tcp://n1", wire::pack(beat), now, out);
    state->tick(now, out);
    return out.take();
  }
  std::uint32_t cached(const Keys& blocks, std::uint64_t request) {
    wire::PlaceRequest message;
    message.request = {request, request};
    message.epoch = {1};
    message.model = "m";
    message.prompt_tokens = 200;
    message.blocks = blocks;
    actors::Outbox out;
    state->receive("tcp://g", wire::pack(message), now, out);
    return wire::unpack<wire::Placement>(out.messages().at(0).message)->cached_tokens / 16;
  }
  static kv_events::Event stored(Keys blocks) { return kv_events::BlocksStored{std::move(blocks), {}, {}, 16, Tier::memory}; }
  TimePoint now{1h};
  std::vector<std::uint64_t> asked;
  std::unique_ptr<RouterState> state;
};

TEST(EventFeeds, AMembersEventsFillTheIndexAndItsUpdatesCountNoMore) {
  Rig r;
  EXPECT_TRUE(r.take(0, {Rig::stored(keys(0, 4))}).empty());
  EXPECT_TRUE(r.take(1, {Rig::stored(keys(4, 6)), kv_events::BlocksRemoved{keys(5, 6), Tier::memory}}).empty());
  EXPECT_EQ(r.cached(keys(0, 9), 1), 5u);
  EXPECT_EQ(r.state->prefixes().kind(), "exact");
  actors::Outbox out;
  r.state->receive("tcp://n1", wire::pack(wire::KvUpdate{kNode, kModel, 1, true, keys(0, 9), {}}), r.now, out);
  EXPECT_EQ(r.cached(keys(0, 9), 2), 5u);
  EXPECT_TRUE(r.asked.empty()) << "nothing was missed";
}

TEST(EventFeeds, AGapIsReplayedElseTheMemberIsAskedForASnapshot) {
  Rig r;
  (void)r.take(3, {Rig::stored(keys(0, 1))});
  EXPECT_EQ(r.asked, std::vector<std::uint64_t>{0}) << "what came before";
  actors::Outbox out;
  r.state->on_kv_events(0, "", 2, Rig::payload(2, {Rig::stored(keys(7, 8))}), r.now, out);
  r.state->on_replay_ended(0, r.now, out);  // 0 and 1 are no longer kept
  ASSERT_EQ(out.messages().size(), 1u);
  EXPECT_EQ(out.messages()[0].to, "tcp://n1");
  EXPECT_EQ(wire::unpack<wire::KvSnapshotRequest>(out.messages()[0].message)->node, kNode);
  EXPECT_EQ(r.cached(keys(0, 2), 1), 0u) << "nothing behind a gap is taken";
  (void)r.take(4, {kv_events::AllCleared{}, Rig::stored(keys(0, 2))});
  EXPECT_EQ(r.cached(keys(0, 2), 2), 2u);
}

TEST(EventFeeds, LateQuestionsAreAskedByTime) {
  Rig r;
  (void)r.take(0, {Rig::stored(keys(0, 1))});
  (void)r.take(2, {Rig::stored(keys(1, 2))});
  EXPECT_TRUE(r.asked.empty());
  (void)r.tick(30ms);
  EXPECT_EQ(r.asked, std::vector<std::uint64_t>{0});
  (void)r.tick(600ms);
  EXPECT_EQ(r.asked.size(), 2u);
}

TEST(EventFeeds, ARestartedMemberHasANewFeedAndTheGoneOnesBlocksAreOut) {
  Rig r;
  (void)r.take(0, {Rig::stored(keys(0, 4))});
  const NodeId next{2, 2};
  const std::string topic = "kv@" + to_hex(next) + "@m";
  (void)r.take(0, {Rig::stored(keys(0, 2))}, topic);
  EXPECT_EQ(r.cached(keys(0, 4), 1), 4u) << "not a member yet";
  r.join(next);
  EXPECT_EQ(r.state->prefixes().kind(), "empty");
  (void)r.take(1, {Rig::stored(keys(2, 3))}, topic);
  EXPECT_EQ(r.asked, std::vector<std::uint64_t>{0});
  actors::Outbox out;
  r.state->on_kv_events(0, "", 0, Rig::payload(0, {Rig::stored(keys(0, 2))}), r.now, out);
  EXPECT_EQ(r.cached(keys(0, 4), 2), 3u);
}

TEST(EventFeeds, AnotherEngineIsIndexedAndForgottenWhereItsReplayDoesNotReachBack) {
  Rig r;
  (void)r.take(0, {Rig::stored(keys(0, 4))}, "vllm");
  EXPECT_EQ(r.state->prefixes().index().size(), 4u);
  (void)r.take(9, {Rig::stored(keys(10, 11))}, "vllm");
  (void)r.tick(30ms);
  actors::Outbox out;
  r.state->on_replay_ended(0, r.now, out);
  EXPECT_TRUE(out.messages().empty());
  EXPECT_EQ(r.state->event_feeds().counters().given_up, 1u);
  EXPECT_EQ(r.state->prefixes().index().size(), 1u);
  EXPECT_EQ(r.cached(keys(10, 11), 1), 0u) << "of a stranger's blocks no placement knows";
}

TEST(EventFeeds, WhatDoesNotParseIsCountedAndLeavesAGap) {
  Rig r;
  (void)r.take(0, {Rig::stored(keys(0, 1))});
  actors::Outbox out;
  r.state->on_kv_events(0, "kv@" + to_hex(kNode) + "@m", 1, std::vector<std::uint8_t>{1, 2, 3}, r.now, out);
  r.state->on_kv_events(7, "x", 1, {}, r.now, out);
  EXPECT_EQ(r.state->event_feeds().malformed(), 1u);
  (void)r.take(2, {Rig::stored(keys(1, 2))});
  (void)r.tick(30ms);
  EXPECT_EQ(r.asked.size(), 1u);
}

TEST(EventFeeds, SourcesAreReadFromTheirOption) {
  const auto sources = parse_event_sources({"127.0.0.1:5557", "[::1]:5557/host:5558"});
  ASSERT_TRUE(sources.has_value()) << to_string(sources.error());
  EXPECT_EQ((*sources)[0].endpoint, "tcp://127.0.0.1:5557");
  EXPECT_EQ((*sources)[0].replay_endpoint, "");
  EXPECT_EQ((*sources)[1].replay_endpoint, "tcp://host:5558");
  for (const char* bad : {"", "host", "host:1/", "host:99999", "host:1/host"})
    EXPECT_EQ(parse_event_sources({bad}).error().code, Errc::config_invalid) << bad;
  EXPECT_FALSE(parse_topic("kv@" + to_hex(kNode) + "@").has_value());
  EXPECT_FALSE(parse_topic("kv@xyz@m").has_value());
  EXPECT_EQ(parse_topic("kv@" + to_hex(kNode) + "@a@b")->second, "a@b");
}

}  // namespace
}  // namespace troupe::router
