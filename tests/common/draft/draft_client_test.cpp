#include "common/draft/draft_client.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace troupe::draft {
namespace {

using namespace std::chrono_literals;
using speculation::DraftAnswer;
using speculation::DraftOrder;
using speculation::SequenceNumber;
using Kind = DraftAnswer::Kind;

constexpr VocabularyId kWords{1, 2}, kOthers{3, 4};
constexpr NodeId kService{9, 9};
const std::string kAddress = "tcp://10.0.0.1:7600", kSigned = "tcp://draft-host:7600";

struct Rig {
  explicit Rig(std::vector<std::string> services = {kAddress})
      : desk(std::make_shared<DraftDesk>(100)), client(options(std::move(services)), {{kWords, desk}}) {}
  static ClientOptions options(std::vector<std::string> services) {
    ClientOptions out;
    out.node = {0, 0};
    out.services = std::move(services);
    return out;
  }
  /// What it sends in this moment, by kind.
  template <class M>
  std::vector<M> sent() {
    std::vector<M> out;
    for (const actors::Outgoing& one : box.messages())
      if (one.message.type == M::kNumber) out.push_back(*wire::unpack<M>(one.message));
    return out;
  }
  void tick(Duration later = {}) {
    now += later;
    (void)box.take();
    client.tick(now, box);
  }
  /// The service answers a Ping.
  void offer(std::uint64_t number, const NodeId& node = kService, std::vector<VocabularyId> words = {kWords},
             bool draining = false) {
    client.receive(kSigned, wire::pack(wire::DraftOffer{number, node, std::move(words), draining}), now, box);
  }
  void meet() {
    tick();
    offer(sent<wire::Ping>().at(0).number);
  }
  bool order(std::uint64_t sequence, std::uint32_t round, std::size_t tokens = 3, std::uint32_t held = 0) {
    DraftOrder one;
    one.sequence = SequenceNumber{sequence};
    one.round = round;
    one.held = held;
    one.tokens.resize(tokens);
    std::iota(one.tokens.begin(), one.tokens.end(), 0);
    one.wanted = 4;
    if (!desk->order(std::move(one))) return false;
    (void)box.take();
    client.on_orders(now, box);
    return true;
  }
  void propose(std::uint64_t session, std::uint32_t round, std::vector<TokenId> tokens,
               const NodeId& node = kService) {
    wire::DraftProposal message;
    message.node = node;
    wire::DraftProposal::Entry entry;
    entry.session = session;
    entry.round = round;
    entry.position = 3;
    entry.tokens = std::move(tokens);
    entry.confidence.resize(entry.tokens.size(), 0.5F);
    message.entries = {entry};
    client.receive(kSigned, wire::pack(message), now, box);
  }
  std::optional<DraftAnswer> taken(std::uint64_t sequence = 5) {
    return desk->take(SequenceNumber{sequence});
  }

  TimePoint now{1h};
  actors::Outbox box;
  std::shared_ptr<DraftDesk> desk;
  DraftClient client;
};

TEST(DraftClient, CarriesOrdersToAServiceOfItsVocabularyAndAnswersBack) {
  Rig rig;
  EXPECT_FALSE(rig.order(5, 1)) << "nobody is there yet";
  rig.meet();
  EXPECT_EQ(rig.client.stats().services, 1u);
  ASSERT_TRUE(rig.order(5, 1));
  const auto asks = rig.sent<wire::DraftAsk>();
  ASSERT_EQ(asks.size(), 1u);
  EXPECT_EQ(asks[0].vocabulary, kWords);
  EXPECT_GT(asks[0].deadline_ms, 0u);
  EXPECT_LT(asks[0].deadline_ms, 250u) << "its answer has a way to go";
  ASSERT_EQ(asks[0].entries.size(), 1u);
  EXPECT_EQ(asks[0].entries[0].wanted, 4u);
  rig.propose(asks[0].entries[0].session, 1, {7, 8});
  const auto answer = rig.taken();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->kind, Kind::drafted);
  EXPECT_EQ(answer->position, 3u);
  ASSERT_EQ(answer->guesses.size(), 2u);
  EXPECT_EQ(answer->guesses[1].token, 8);
}

TEST(DraftClient, AsksNoServiceThatKnowsOtherWords) {
  Rig rig;
  rig.tick();
  rig.offer(rig.sent<wire::Ping>().at(0).number, kService, {kOthers});
  EXPECT_FALSE(rig.order(5, 1));
}

TEST(DraftClient, WhatIsStaleIsNeverPutOnADesk) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  ASSERT_TRUE(rig.order(5, 2));
  const std::uint64_t session = rig.sent<wire::DraftAsk>().at(0).entries.at(0).session;
  rig.propose(session, 1, {7});
  rig.propose(session, 3, {7});
  rig.propose(session + 1, 2, {7});
  rig.propose(session, 2, {7}, NodeId{1, 1});  // of another incarnation
  EXPECT_FALSE(rig.taken().has_value());
  EXPECT_EQ(rig.client.stats().stale, 4u);
  rig.propose(session, 2, {7});
  EXPECT_TRUE(rig.taken().has_value());
  rig.propose(session, 2, {7});
  EXPECT_FALSE(rig.taken().has_value()) << "twice";
}

TEST(DraftClient, AMalformedAnswerIsARefusal) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  wire::DraftProposal message;
  message.node = kService;
  message.entries.resize(1);
  message.entries[0].session = rig.sent<wire::DraftAsk>().at(0).entries.at(0).session;
  message.entries[0].round = 1;
  message.entries[0].tokens = {1, 2};
  message.entries[0].confidence = {0.5F};
  rig.client.receive(kSigned, wire::pack(message), rig.now, rig.box);
  EXPECT_EQ(rig.taken()->kind, Kind::refused);
  EXPECT_EQ(rig.client.stats().malformed, 1u);
}

TEST(DraftClient, LateIsRefusedAndASilentServiceIsAskedNoMoreUntilItSpeaks) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  ASSERT_TRUE(rig.order(6, 1));
  EXPECT_LE(rig.client.wake_at(), rig.now + 250ms);
  rig.tick(250ms);
  EXPECT_EQ(rig.taken(5)->kind, Kind::refused);
  EXPECT_EQ(rig.taken(6)->kind, Kind::refused);
  EXPECT_EQ(rig.client.stats().late, 2u);
  EXPECT_FALSE(rig.order(5, 2)) << "it is stopped: nothing more is piled up there";
  rig.tick(500ms);
  const auto pings = rig.sent<wire::Ping>();
  ASSERT_EQ(pings.size(), 1u);
  rig.offer(pings[0].number);
  EXPECT_TRUE(rig.order(5, 3));
}

TEST(DraftClient, ASlowServiceThatSpeaksIsKept) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  rig.now += 100ms;
  ASSERT_TRUE(rig.order(6, 1));
  rig.propose(rig.sent<wire::DraftAsk>().at(0).entries.at(0).session, 1, {7});
  rig.tick(150ms);
  EXPECT_EQ(rig.taken(5)->kind, Kind::refused);
  EXPECT_TRUE(rig.order(5, 2));
}

TEST(DraftClient, ALostPeerAnswersNothingAndIsFoundAgain) {
  for (const std::string& name : {kAddress, kSigned}) {
    Rig rig;
    rig.meet();
    ASSERT_TRUE(rig.order(5, 1));
    rig.client.peer_lost(name, rig.now, rig.box);
    EXPECT_EQ(rig.taken()->kind, Kind::refused);
    EXPECT_FALSE(rig.order(5, 2));
    rig.tick(1s);
    rig.offer(rig.sent<wire::Ping>().at(0).number, NodeId{10, 10});
    EXPECT_TRUE(rig.order(5, 3));
    rig.propose(rig.sent<wire::DraftAsk>().at(0).entries.at(0).session, 3, {7}, NodeId{10, 10});
    EXPECT_EQ(rig.taken()->kind, Kind::drafted);
  }
}

TEST(DraftClient, ARestartedServiceOwesNothing) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  rig.tick(100ms);
  rig.offer(0, NodeId{10, 10});
  EXPECT_EQ(rig.taken()->kind, Kind::refused);
}

TEST(DraftClient, ADrainingServiceIsLeftForAnother) {
  const std::string other = "tcp://10.0.0.2:7600";
  Rig rig({kAddress, other});
  rig.tick();
  const auto pings = rig.sent<wire::Ping>();
  ASSERT_EQ(pings.size(), 2u);
  rig.offer(pings[0].number);
  rig.client.receive(other, wire::pack(wire::DraftOffer{pings[1].number, {8, 8}, {kWords}, false}), rig.now,
                     rig.box);
  ASSERT_TRUE(rig.order(5, 1));
  EXPECT_EQ(rig.box.messages().at(0).to, kAddress);
  rig.offer(0, kService, {kWords}, true);
  ASSERT_TRUE(rig.order(6, 1));
  EXPECT_EQ(rig.box.messages().at(0).to, other);
}

TEST(DraftClient, ALongTextGoesInPartsThatFitAMessage) {
  Rig rig;
  rig.meet();
  const std::size_t tokens = 2 * wire::kMaxAskedTokens.max + 100;
  ASSERT_TRUE(rig.order(5, 1, tokens));
  const auto asks = rig.sent<wire::DraftAsk>();
  ASSERT_EQ(asks.size(), 3u);
  std::vector<TokenId> text;
  for (std::size_t i = 0; i < asks.size(); ++i) {
    const auto& entry = asks[i].entries.at(0);
    EXPECT_EQ(entry.held, text.size());
    if (i > 0) {
      EXPECT_EQ(entry.held_hash, speculation::text_hash(text));
    }
    EXPECT_EQ(entry.wanted, i + 1 == asks.size() ? 4u : 0u);
    text.insert(text.end(), entry.tokens.begin(), entry.tokens.end());
    EXPECT_LE(wire::encode(asks[i]).size(), wire::kMaxControlBytes);
  }
  EXPECT_EQ(text.size(), tokens);
  ASSERT_TRUE(rig.order(6, 1, tokens, 10)) << "a part's hash needs the whole text";
  EXPECT_EQ(rig.taken(6)->kind, Kind::lost);
}

TEST(DraftClient, TellsTheServiceWhoIsOver) {
  Rig rig;
  rig.meet();
  ASSERT_TRUE(rig.order(5, 1));
  const std::uint64_t session = rig.sent<wire::DraftAsk>().at(0).entries.at(0).session;
  rig.desk->forget(SequenceNumber{5});
  (void)rig.box.take();
  rig.client.on_orders(rig.now, rig.box);
  const auto told = rig.sent<wire::DraftForget>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].sessions, std::vector<std::uint64_t>{session});
}

TEST(DraftClient, DesksAreClosedWhenItEnds) {
  std::shared_ptr<DraftDesk> desk;
  {
    Rig rig;
    rig.meet();
    desk = rig.desk;
    EXPECT_TRUE(rig.order(5, 1));
  }
  DraftOrder order;
  EXPECT_FALSE(desk->order(std::move(order)));
}

}  // namespace
}  // namespace troupe::draft
