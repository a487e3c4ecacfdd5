#include "services/draft/draft_state.hpp"

#include <gtest/gtest.h>

namespace troupe::draft {
namespace {

using namespace std::chrono_literals;
using Kind = speculation::DraftAnswer::Kind;

constexpr VocabularyId kWords{1, 2}, kOthers{3, 4};
constexpr NodeId kWorker{5, 5}, kSelf{9, 9};
const std::string kFrom = "tcp://10.0.0.1:7420";

struct FakeDoor final : HostDoor {
  bool post(std::size_t host, HostCommand command) override {
    if (full) return false;
    commands.emplace_back(host, std::move(command));
    return true;
  }
  template <class C>
  std::vector<C> of() const {
    std::vector<C> out;
    for (const auto& [host, command] : commands)
      if (const auto* one = std::get_if<C>(&command)) out.push_back(*one);
    return out;
  }
  bool full = false;
  std::vector<std::pair<std::size_t, HostCommand>> commands;
};

struct Rig {
  FakeDoor door;
  actors::Outbox box;
  TimePoint now{1h};
  DraftState state{[] {
                     ServiceOptions options;
                     options.node = kSelf;
                     options.max_clients = 2;
                     return options;
                   }(),
                   {kOthers, kWords},
                   door};

  void ask(std::vector<std::uint64_t> sessions, const VocabularyId& words = kWords,
           const NodeId& node = kWorker, const std::string& from = kFrom) {
    wire::DraftAsk message;
    message.node = node;
    message.vocabulary = words;
    message.deadline_ms = 200;
    for (const std::uint64_t session : sessions) {
      wire::DraftAsk::Entry entry;
      entry.session = session;
      entry.round = 4;
      entry.held = 2;
      entry.held_hash = 77;
      entry.tokens = {1, 2, 3};
      entry.wanted = 5;
      message.entries.push_back(entry);
    }
    state.receive(from, wire::pack(message), now, box);
  }
  HostAnswer answer(std::uint64_t session, Kind kind = Kind::drafted, const NodeId& node = kWorker) const {
    HostAnswer one;
    one.session = {node, session};
    one.answer.round = 4;
    one.answer.kind = kind;
    one.answer.position = 5;
    one.answer.guesses = {{10, 0.5F, 11, 0.25F}, {12, 0.75F, -1, 0}};
    return one;
  }
  template <class M>
  std::vector<std::pair<std::string, M>> sent() {
    std::vector<std::pair<std::string, M>> out;
    for (actors::Outgoing& one : box.take())
      if (one.message.type == M::kNumber) out.emplace_back(one.to, *wire::unpack<M>(one.message));
    return out;
  }
};

TEST(DraftState, SendsOrdersToTheHostOfTheirVocabulary) {
  Rig rig;
  rig.ask({61, 62});
  ASSERT_EQ(rig.door.commands.size(), 2u);
  EXPECT_EQ(rig.door.commands[0].first, 1u);
  const HostOrder order = rig.door.of<HostOrder>()[1];
  EXPECT_EQ(order.session, (SessionKey{kWorker, 62}));
  EXPECT_EQ(order.round, 4u);
  EXPECT_EQ(order.held, 2u);
  EXPECT_EQ(order.held_hash, 77u);
  EXPECT_EQ(order.tokens, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(order.wanted, 5u);
  EXPECT_EQ(order.deadline, rig.now + 200ms);
  EXPECT_TRUE(rig.sent<wire::DraftProposal>().empty());
}

TEST(DraftState, AnswersEachWorkerInMessagesThatFit) {
  Rig rig;
  rig.ask({1});
  rig.ask({1}, kWords, {6, 6}, "tcp://10.0.0.2:7420");
  HostReport report;
  for (std::uint64_t session = 0; session < 80; ++session) report.answers.push_back(rig.answer(session));
  report.answers.push_back(rig.answer(5, Kind::lost, {6, 6}));
  report.answers.push_back(rig.answer(5, Kind::refused, {6, 6}));
  report.answers.push_back(rig.answer(5, Kind::refused, {44, 44}));  // of nobody
  for (HostAnswer& one : report.answers) one.answer.guesses.resize(kMostWanted, {1, 0.5F, 2, 0.25F});
  rig.state.on_report(1, std::move(report), rig.box);
  std::map<std::string, std::vector<wire::DraftProposal::Entry>> said;
  for (auto& [to, message] : rig.sent<wire::DraftProposal>()) {
    EXPECT_EQ(message.node, kSelf);
    EXPECT_LE(wire::encode(message).size(), wire::kMaxControlBytes);
    for (auto& entry : message.entries) said[to].push_back(entry);
  }
  ASSERT_EQ(said.size(), 2u);
  ASSERT_EQ(said[kFrom].size(), 80u);
  const auto& first = said[kFrom][0];
  EXPECT_EQ(first.outcome, wire::DraftOutcome::drafted);
  EXPECT_EQ(first.position, 5u);
  EXPECT_EQ(first.tokens[1], 12);
  EXPECT_EQ(first.confidence[0], 0.5F);
  EXPECT_EQ(first.second[0], 11);
  const auto& other = said["tcp://10.0.0.2:7420"];
  EXPECT_EQ(other[0].outcome, wire::DraftOutcome::lost);
  EXPECT_EQ(other[1].outcome, wire::DraftOutcome::refused);
}

TEST(DraftState, RefusesAtOnceWhatItCannotTake) {
  Rig rig;
  const auto refused = [&](const char* why) {
    const auto sent = rig.sent<wire::DraftProposal>();
    ASSERT_EQ(sent.size(), 1u) << why;
    EXPECT_EQ(sent[0].second.entries.at(0).outcome, wire::DraftOutcome::refused) << why;
    EXPECT_EQ(sent[0].second.entries.at(0).round, 4u);
    EXPECT_TRUE(rig.door.commands.empty()) << why;
  };
  rig.ask({1}, {8, 8});
  refused("no such vocabulary");
  rig.door.full = true;
  rig.ask({1});
  refused("the queue is full");
  rig.door.full = false;
  rig.ask({1}, kWords, {6, 6});
  rig.door.commands.clear();
  rig.ask({1}, kWords, {7, 7});
  refused("too many workers");
  rig.state.drain(rig.box);
  const auto offers = rig.sent<wire::DraftOffer>();
  ASSERT_EQ(offers.size(), 2u);
  EXPECT_TRUE(offers[0].second.draining);
  rig.ask({1});
  refused("draining");
  EXPECT_EQ(rig.state.counters().refused, 4u);
}

TEST(DraftState, SaysWhatItOffersToWhoeverAsks) {
  Rig rig;
  rig.state.receive(kFrom, wire::pack(wire::Ping{42}), rig.now, rig.box);
  const auto offers = rig.sent<wire::DraftOffer>();
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_EQ(offers[0].first, kFrom);
  EXPECT_EQ(offers[0].second.number, 42u);
  EXPECT_EQ(offers[0].second.vocabularies, (std::vector<VocabularyId>{kOthers, kWords}));
  EXPECT_FALSE(offers[0].second.draining);
}

TEST(DraftState, SessionsEndWithTheirStreamsAndWithTheirWorker) {
  Rig rig;
  rig.ask({1, 2});
  rig.state.receive(kFrom, wire::pack(wire::DraftForget{kWorker, {1}}), rig.now, rig.box);
  const auto forgotten = rig.door.of<ForgetSession>();
  ASSERT_EQ(forgotten.size(), 2u) << "every host is told";
  EXPECT_EQ(forgotten[0].session, (SessionKey{kWorker, 1}));
  rig.state.peer_lost(kFrom, rig.now, rig.box);
  ASSERT_EQ(rig.door.of<ForgetClient>().size(), 2u);
  EXPECT_EQ(rig.door.of<ForgetClient>()[0].client, kWorker);
  EXPECT_EQ(rig.state.counters().clients, 0u);
}

TEST(DraftState, CountsWhatDoesNotParse) {
  Rig rig;
  rig.state.receive(kFrom, {wire::DraftAsk::kNumber, {}, {1, 2, 3}}, rig.now, rig.box);
  rig.state.receive(kFrom, wire::pack(wire::Cancel{}), rig.now, rig.box);
  EXPECT_EQ(rig.state.counters().malformed, 2u);
}

}  // namespace
}  // namespace troupe::draft
