// A worker that changes between prefill and decode, message by message.
#include "common/worker/worker_state.hpp"

#include <map>

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

using namespace std::chrono_literals;

const NodeId kNode{1, 1};
const ModelId kModel{5, 5};

struct RecordingDoor final : EngineDoor {
  std::vector<Command> commands;
  ImportTable table;
  void post(std::size_t, Command command) override { commands.push_back(std::move(command)); }
  std::uint64_t progress() const override { return 0; }
  bool busy() const override { return false; }
  ImportTable& imports() override { return table; }
  SendResult send(const std::string&, const wire::Envelope&, const RequestId&, FramePayload) override {
    return SendResult::sent;
  }
  void drop_frames(const RequestId&) override {}
};

/// A decode worker that has joined.
struct Rig {
  RecordingDoor door;
  std::unique_ptr<WorkerState> state;
  TimePoint now{1h};

  explicit Rig(WorkerOptions options = {}) {
    options.name = "decode-0";
    options.node = kNode;
    options.control_address = "tcp://decode-0";
    options.router_address = "tcp://router";
    state = std::make_unique<WorkerState>(
        options, std::vector{ServedModel{{"m", kModel, 4096, 2, 1024, "n"}, 8}}, door);
    (void)tick(0s);
    (void)send(wire::JoinReply{{9, 9}, std::nullopt, 500});
    door.commands.clear();  // the snapshot that a join asks for
  }
  template <class Message>
  std::vector<actors::Outgoing> send(const Message& message, const std::string& from = "tcp://router") {
    actors::Outbox out;
    state->receive(from, wire::pack(message), now, out);
    return out.take();
  }
  std::vector<actors::Outgoing> tick(Duration later = 500ms) {
    now += later;
    actors::Outbox out;
    state->tick(now, out);
    return out.take();
  }
  std::vector<actors::Outgoing> generate(std::uint64_t id) {
    wire::Generate order;
    order.request = {7, id};
    order.model = kModel;
    order.prompt = {1, 2, 3};
    order.prompt_tokens = 3;
    order.choices = 1;
    order.max_tokens = 5;
    return send(order, "tcp://gateway");
  }
  std::vector<actors::Outgoing> report(Report one) {
    ReportBatch batch;
    batch.reports.push_back(std::move(one));
    actors::Outbox out;
    state->on_reports(0, std::move(batch), now, out);
    return out.take();
  }
  std::vector<actors::Outgoing> report(std::size_t command, FinishReason finish) {
    engine::TokenEvent event;
    event.id = std::get<Submit>(door.commands.at(command)).request.id;
    event.tokens = {GeneratedToken{4, 0, {}}};
    event.finish = finish;
    ReportBatch batch;
    batch.reports.emplace_back(Stepped{{event}, {}});
    actors::Outbox out;
    state->on_reports(0, std::move(batch), now, out);
    return out.take();
  }
};

/// The message of this kind that was sent, if there is one.
template <class Message>
std::optional<Message> sent(const std::vector<actors::Outgoing>& out) {
  for (const actors::Outgoing& one : out)
    if (auto message = wire::unpack<Message>(one.message)) return std::move(*message);
  return std::nullopt;
}

TEST(WorkerState, ARouterThatRefusesItsReleaseIsAskedAgainWithEachHeartbeatAndLoggedOnce) {
  Rig rig;
  const auto refuse = [&] {
    testing::internal::CaptureStderr();
    (void)rig.send(wire::JoinReply{{9, 9}, wire::WireError{Errc::wire_version, "no neighbours"}, 500});
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(refuse().find("the router refuses this node"), std::string::npos);
  EXPECT_FALSE(rig.state->counters().joined);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(sent<wire::Join>(rig.tick(100ms)).has_value()) << "not before its heartbeat";
    const auto join = sent<wire::Join>(rig.tick(500ms));
    ASSERT_TRUE(join.has_value());
    EXPECT_EQ(join->release, wire::own_release());
    EXPECT_EQ(refuse(), "") << "said once";
  }
  EXPECT_EQ(rig.state->counters().release_refusals, 4u);
  (void)rig.send(wire::JoinReply{{9, 9}, std::nullopt, 500, {}, wire::own_release()});
  EXPECT_TRUE(rig.state->counters().joined);
}

TEST(WorkerState, ItLeavesARouterThatTookItInAndIsNoNeighbour) {
  WorkerOptions options;
  options.release = {"0.9.0", 9, 8};
  testing::internal::CaptureStderr();
  Rig rig(options);  // its router does not tell a release
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("does not tell which it is"), std::string::npos) << log;
  EXPECT_FALSE(rig.state->counters().joined);
  EXPECT_EQ(rig.state->counters().release_refusals, 1u);
  EXPECT_FALSE(sent<wire::Join>(rig.tick()).has_value()) << "it would be given work again";
  Rig other(options);
  const auto out = other.send(wire::JoinReply{{9, 9}, std::nullopt, 500, {}, {"0.4.0", 4, 3}});
  EXPECT_TRUE(sent<wire::Leave>(out).has_value());
}

TEST(WorkerState, TellsRoutersApartThatSignWithOtherAddressesThanTheDialledOnes) {
  RecordingDoor door;
  WorkerOptions options;
  options.name = "decode-0";
  options.node = kNode;
  options.router_address = "tcp://proxy-a";
  options.other_routers = {"tcp://proxy-b"};
  WorkerState state(options, std::vector{ServedModel{{"m", kModel, 4096, 2, 1024, "n"}, 8}}, door);
  TimePoint now{1h};
  const auto hear = [&](const std::string& from, wire::JoinReply reply) {
    actors::Outbox out;
    state.receive(from, wire::pack(reply), now, out);
  };
  const auto beat = [&] {
    now += 1s;
    actors::Outbox out;
    state.tick(now, out);
    std::map<std::string, std::uint16_t> sent;
    for (const auto& message : out.take()) sent[message.to] = message.message.type;
    return sent;
  };
  EXPECT_EQ(beat()["tcp://proxy-b"], wire::kJoinNumber);
  hear("tcp://b", {{8, 8}, std::nullopt, 500, "tcp://proxy-b"});  // the second one answers first
  hear("tcp://a", {{9, 9}, std::nullopt, 500, "tcp://proxy-a"});
  EXPECT_EQ(beat()["tcp://proxy-a"], wire::kHeartbeatNumber);
  hear("tcp://a", {{9, 9}, wire::WireError{Errc::peer_lost, "not a member"}, 500, {}});
  auto sent = beat();
  EXPECT_EQ(sent["tcp://proxy-a"], wire::kJoinNumber) << "only the one that does not know it is joined again";
  EXPECT_EQ(sent["tcp://proxy-b"], wire::kHeartbeatNumber);

  // A directory lists them: who is new is joined, who does not answer any more is forgotten.
  state.meet_routers({}, now);
  EXPECT_EQ(beat().size(), 2u) << "no news";
  state.meet_routers({"tcp://proxy-b", "tcp://c"}, now);
  sent = beat();
  EXPECT_EQ(sent.count("tcp://proxy-a"), 0u);
  EXPECT_EQ(sent["tcp://proxy-b"], wire::kHeartbeatNumber);
  EXPECT_EQ(sent["tcp://c"], wire::kJoinNumber);
  state.meet_routers({"tcp://c"}, now);
  EXPECT_EQ(beat().count("tcp://proxy-b"), 1u) << "it answers, whatever the directory says";
}

TEST(WorkerState, AnIdleWorkerChangesItsRoleAtOnce) {
  Rig rig;
  const auto out = rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 30000});
  ASSERT_TRUE(sent<wire::Heartbeat>(out).has_value());
  EXPECT_TRUE(sent<wire::Heartbeat>(out)->draining);
  ASSERT_TRUE(sent<wire::Join>(out).has_value());
  EXPECT_EQ(sent<wire::Join>(out)->role, wire::Role::prefill);
  EXPECT_EQ(sent<wire::Join>(out)->node, kNode);
  EXPECT_EQ(rig.state->counters().role_changes, 1u);
  // Its word may be lost: it joins until it is answered.
  EXPECT_EQ(sent<wire::Join>(rig.tick())->role, wire::Role::prefill);
  (void)rig.send(wire::JoinReply{{9, 9}, std::nullopt, 500});
  const auto beat = sent<wire::Heartbeat>(rig.tick());
  ASSERT_TRUE(beat.has_value());
  EXPECT_FALSE(beat->draining);
}

TEST(WorkerState, ABusyWorkerDrainsFirst) {
  Rig rig;
  (void)rig.generate(1);
  auto out = rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 30000});
  EXPECT_TRUE(sent<wire::Heartbeat>(out)->draining);
  EXPECT_FALSE(sent<wire::Join>(out).has_value());
  const auto refused = sent<wire::Tokens>(rig.generate(2));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->entries.at(0).error->code, Errc::draining);
  EXPECT_FALSE(sent<wire::Join>(rig.tick()).has_value());
  EXPECT_TRUE(sent<wire::Tokens>(rig.report(0, FinishReason::stop)).has_value()) << "its stream ends here";
  out = rig.tick();
  ASSERT_TRUE(sent<wire::Join>(out).has_value());
  EXPECT_EQ(sent<wire::Join>(out)->role, wire::Role::prefill);
  const std::size_t before = rig.door.commands.size();
  EXPECT_FALSE(sent<wire::Tokens>(rig.generate(3)).has_value()) << "a late order is served all the same";
  EXPECT_EQ(rig.door.commands.size(), before + 1);
}

TEST(WorkerState, ADrainThatTakesTooLongEndsBesideTheNewRole) {
  Rig rig;
  (void)rig.generate(1);
  (void)rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 2000});
  EXPECT_FALSE(sent<wire::Join>(rig.tick(1900ms)).has_value());
  EXPECT_TRUE(sent<wire::Join>(rig.tick(100ms)).has_value());
  const auto tokens = sent<wire::Tokens>(rig.report(0, FinishReason::none));
  ASSERT_TRUE(tokens.has_value());
  EXPECT_FALSE(tokens->entries.at(0).error.has_value()) << "no stream is cut for it";
}

TEST(WorkerState, AnOrderThatMakesNoSenseChangesNothing) {
  Rig rig;
  EXPECT_TRUE(rig.send(wire::ChangeRole{{8, 8}, wire::Role::prefill, 1}).empty()) << "for an earlier process";
  EXPECT_TRUE(rig.send(wire::ChangeRole{kNode, wire::Role::gateway, 1}).empty());
  EXPECT_TRUE(rig.send(wire::ChangeRole{kNode, wire::Role::decode, 1}).empty()) << "it is";
  (void)rig.generate(1);
  (void)rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 30000});
  EXPECT_TRUE(rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 30000}).empty()) << "a repeat";
  (void)rig.send(wire::ChangeRole{kNode, wire::Role::decode, 30000});  // taken back
  EXPECT_FALSE(sent<wire::Heartbeat>(rig.tick(0s))->draining);
  EXPECT_EQ(rig.state->counters().role_changes, 0u);
}

TEST(WorkerState, AWorkerThatEndsChangesNothing) {
  Rig rig;
  (void)rig.generate(1);
  (void)rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 1000});
  actors::Outbox out;
  rig.state->drain(rig.now, out);
  EXPECT_FALSE(sent<wire::Join>(rig.tick(5s)).has_value());
  EXPECT_TRUE(rig.send(wire::ChangeRole{kNode, wire::Role::prefill, 1000}).empty());
}

TEST(WorkerState, APersonDrainsAWorkerAndTakesItBack) {
  Rig rig;
  (void)rig.generate(1);
  const auto out = rig.send(wire::Operate{kNode, wire::Operation::drain}, "tcp://gateway");
  ASSERT_TRUE(sent<wire::Heartbeat>(out).has_value()) << "routers learn of it at once";
  EXPECT_TRUE(sent<wire::Heartbeat>(out)->draining);
  ASSERT_TRUE(sent<wire::Handover>(out).has_value());
  EXPECT_EQ(sent<wire::Handover>(out)->streams.size(), 1u) << "its stream may go elsewhere";
  EXPECT_EQ(sent<wire::Tokens>(rig.generate(2))->entries.at(0).error->code, Errc::draining);
  EXPECT_TRUE(sent<wire::Handover>(rig.tick(1s)).has_value()) << "and is offered until it has gone";
  const auto back = rig.send(wire::Operate{kNode, wire::Operation::undrain}, "tcp://gateway");
  ASSERT_TRUE(sent<wire::Heartbeat>(back).has_value());
  EXPECT_FALSE(sent<wire::Heartbeat>(back)->draining);
  EXPECT_FALSE(sent<wire::Handover>(rig.tick(1s)).has_value());
  const std::size_t before = rig.door.commands.size();
  EXPECT_FALSE(sent<wire::Tokens>(rig.generate(3)).has_value());
  EXPECT_EQ(rig.door.commands.size(), before + 1) << "it takes new work again";
}

TEST(WorkerState, AProcessThatEndsIsNotTakenBack) {
  Rig rig;
  actors::Outbox out;
  rig.state->drain(rig.now, out);
  (void)rig.send(wire::Operate{kNode, wire::Operation::drain});
  (void)rig.send(wire::Operate{kNode, wire::Operation::undrain});
  EXPECT_TRUE(sent<wire::Heartbeat>(rig.tick())->draining);
}

TEST(WorkerState, OrdersForAnotherProcessAndRepeatsChangeNothing) {
  Rig rig;
  EXPECT_TRUE(rig.send(wire::Operate{{8, 8}, wire::Operation::drain}).empty());
  EXPECT_TRUE(rig.send(wire::Operate{kNode, wire::Operation::undrain}).empty()) << "it is not drained";
  EXPECT_TRUE(rig.send(wire::Operate{kNode, wire::Operation::report}).empty()) << "that is a router's";
  (void)rig.send(wire::Operate{kNode, wire::Operation::drain});
  EXPECT_TRUE(rig.send(wire::Operate{kNode, wire::Operation::drain}).empty());
}

TEST(WorkerState, AKillOrderIsObeyedOnlyWhereItIsAllowed) {
  Rig strict;
  EXPECT_TRUE(strict.send(wire::Operate{kNode, wire::Operation::kill}).empty());
  EXPECT_FALSE(sent<wire::Heartbeat>(strict.tick())->draining) << "it goes on as before";
  int killed = 0;
  WorkerOptions options;
  options.on_kill = [&] { ++killed; };
  Rig rig(options);
  (void)rig.send(wire::Operate{{8, 8}, wire::Operation::kill});
  EXPECT_EQ(killed, 0);
  (void)rig.send(wire::Operate{kNode, wire::Operation::kill});
  EXPECT_EQ(killed, 1);
}

wire::Generate recorded(std::uint64_t id) {
  wire::Generate order;
  order.request = {7, id};
  order.epoch = {1};
  order.model = kModel;
  order.prompt = {1, 2, 3};
  order.prompt_tokens = 3;
  order.max_tokens = 5;
  order.trace = {{1, 2}, {3}};
  return order;
}

TEST(WorkerState, TellsOfARecordedStreamBeforeItsLastTokens) {
  Rig rig;
  (void)rig.send(recorded(1), "tcp://gateway");
  EXPECT_TRUE(std::get<Submit>(rig.door.commands.at(0)).request.traced);
  EXPECT_FALSE(sent<wire::Spans>(rig.report(0, FinishReason::none)).has_value()) << "it goes on";
  const auto out = rig.report(0, FinishReason::stop);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].to, "tcp://gateway");
  const auto told = wire::unpack<wire::Spans>(out[0].message);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->name, "decode-0");
  EXPECT_EQ(told->spans.at(0).name, "decode");
  EXPECT_EQ(out[1].message.type, wire::kTokensNumber);
}

TEST(WorkerState, TellsOfACancelledStreamButNotToAGatewayThatIsGone) {
  WorkerOptions options;
  options.gateway_grace = 1s;
  Rig rig(options);
  for (const std::uint64_t id : {1, 2}) {
    (void)rig.send(recorded(id), "tcp://gateway");
    (void)rig.report(id - 1, FinishReason::none);
  }
  EXPECT_TRUE(sent<wire::Spans>(rig.send(wire::Cancel{{7, 1}, {1}}, "tcp://gateway")).has_value());
  actors::Outbox out;
  rig.state->peer_lost("tcp://gateway", rig.now, out);
  EXPECT_FALSE(sent<wire::Spans>(rig.tick(2s)).has_value());
  EXPECT_EQ(rig.state->counters().streams, 0U);
}

TEST(WorkerState, TellsNothingOfAStreamThatNobodyRecords) {
  Rig rig;
  (void)rig.generate(1);
  EXPECT_FALSE(std::get<Submit>(rig.door.commands.at(0)).request.traced);
  EXPECT_EQ(rig.report(0, FinishReason::stop).size(), 1U) << "its tokens";
}

wire::PrefillDone first_token(TokenId token, std::uint32_t choice, bool pending) {
  wire::PrefillDone message;
  message.request = {7, 1};
  message.pending = pending;
  message.drawn = wire::WireToken{token, -0.5f, {}};
  message.drawn_choice = choice;
  return message;
}

TEST(WorkerState, AFirstTokenIsToldOnceAndTheStreamGoesOnBehindIt) {
  Rig rig;
  wire::Generate order;
  order.request = {7, 1};
  order.model = kModel;
  order.prompt.assign(100, 5);
  order.prompt_tokens = 100;
  order.max_tokens = 5;
  order.prefill_address = "tcp://prefill-0";
  (void)rig.send(order, "tcp://gateway");
  const auto reserve = std::get<ReserveImport>(rig.door.commands.at(0));
  EXPECT_EQ(reserve.tokens, 96u);
  EXPECT_EQ(reserve.enough, 64u) << "nobody is asked for a part of a page";
  const auto asked = sent<wire::PrefillRequest>(rig.report(Reserved{reserve.request.id, 0, false}));
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->tokens, 96u);
  EXPECT_EQ(asked->prompt_tokens, 100u);
  EXPECT_EQ(asked->prompt.size(), 100u);
  EXPECT_TRUE(rig.send(first_token(4, 1, true), "tcp://prefill-0").empty()) << "of another choice";
  const auto tokens = sent<wire::Tokens>(rig.send(first_token(4, 0, true), "tcp://prefill-0"));
  ASSERT_TRUE(tokens.has_value());
  ASSERT_EQ(tokens->entries.size(), 1u);
  EXPECT_EQ(tokens->entries[0].first_index, 0u);
  EXPECT_EQ(tokens->entries[0].tokens.at(0).token, 4);
  EXPECT_EQ(tokens->entries[0].tokens[0].logprob, -0.5f);
  EXPECT_TRUE(rig.send(first_token(4, 0, true), "tcp://prefill-0").empty()) << "said again";
  EXPECT_EQ(rig.door.commands.size(), 1u) << "the pages are not here";
  (void)rig.report(Imported{reserve.request.id, 96});
  EXPECT_TRUE(rig.send(first_token(4, 0, false), "tcp://prefill-0").empty());
  const auto& commit = std::get<CommitImport>(rig.door.commands.at(1));
  EXPECT_EQ(commit.tokens, 96u);
  EXPECT_EQ(commit.drawn, std::optional<TokenId>(4));
  // The commit fails: computed here, behind the token that is told.
  (void)rig.report(Refused{reserve.request.id, {Errc::transfer_failed, "x"}});
  const auto& again = std::get<Submit>(rig.door.commands.back());
  EXPECT_EQ(again.request.prompt.size(), 101u);
  EXPECT_EQ(again.request.prompt.back(), 4);
  EXPECT_EQ(again.request.resumed_tokens, 1u);
  const auto resent = sent<wire::Tokens>(rig.send(wire::Resend{{7, 1}, {}, 0, 0}, "tcp://gateway"));
  ASSERT_TRUE(resent.has_value());
  EXPECT_EQ(resent->entries.at(0).tokens.size(), 1u);
}

TEST(WorkerState, AFirstTokenIsDrawnForAnOrderThatAsksForIt) {
  Rig rig;
  wire::Generate stream;
  stream.request = {7, 1};
  stream.prompt_tokens = 70;
  stream.max_tokens = 9;
  stream.sampling.p.seed = 31;
  wire::PrefillRequest order;
  order.request = {7, 1};
  order.model = kModel;
  order.prompt.assign(70, 5);
  order.tokens = 64;
  order.data_address = "tcp://data";
  order.prompt_tokens = 71;
  EXPECT_TRUE(sent<wire::PrefillDone>(rig.send(order, "tcp://decode-1"))->error.has_value())
      << "it brings too little";
  order.prompt_tokens = 70;
  order.order = wire::encode(stream);
  (void)rig.send(order, "tcp://decode-1");
  const auto& command = std::get<Prefill>(rig.door.commands.at(0));
  EXPECT_TRUE(command.request.draw_first);
  EXPECT_EQ(command.request.prompt.size(), 70u);
  EXPECT_EQ(command.tokens, 64u) << "whose pages are sent";
  EXPECT_EQ(command.request.sampling.seed, 31u);
  const RequestId id = command.request.id;
  const auto news = sent<wire::PrefillDone>(rig.report(Drawn{id, {4, 0, {}}, 16}));
  ASSERT_TRUE(news.has_value());
  EXPECT_TRUE(news->pending);
  EXPECT_EQ(news->drawn->token, 4);
  EXPECT_EQ(news->cached_tokens, 16u);
  const auto done = sent<wire::PrefillDone>(rig.report(Prefilled{id, 1, 16, std::nullopt}));
  ASSERT_TRUE(done.has_value());
  EXPECT_FALSE(done->pending);
  EXPECT_EQ(done->drawn->token, 4) << "the news may have been lost";
}

TEST(WorkerState, ARecordedPromptForSomebodyElseIsToldToWhoAsked) {
  Rig rig;
  wire::PrefillRequest order;
  order.request = {7, 1};
  order.epoch = {1};
  order.model = kModel;
  order.prompt.assign(64, 5);
  order.tokens = 64;
  order.data_address = "tcp://data";
  order.trace = {{1, 2}, {3}};
  (void)rig.send(order, "tcp://decode-1");
  const auto& command = std::get<Prefill>(rig.door.commands.at(0));
  EXPECT_TRUE(command.request.traced);
  rig.now += 5ms;
  ReportBatch batch;
  batch.reports.emplace_back(Prefilled{command.request.id, 0, 0, Error{Errc::out_of_pages, "x"}});
  actors::Outbox out;
  rig.state->on_reports(0, std::move(batch), rig.now, out);
  const auto messages = out.take();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].to, "tcp://decode-1");
  const auto told = wire::unpack<wire::Spans>(messages[0].message);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->spans.at(0).name, "prefill");
  EXPECT_TRUE(told->spans[0].failed);
  EXPECT_EQ(told->spans[0].end_ns, Duration(5ms).count());
  EXPECT_EQ(messages[1].message.type, wire::kPrefillDoneNumber);
}

}  // namespace
}  // namespace troupe::worker
