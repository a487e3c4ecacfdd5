// A host guesses what its model says greedily, whoever else is in the pass, whatever was rolled back or
// evicted.
#include "tests/common/draft/host_rig.hpp"

namespace troupe::draft {
namespace {

using namespace std::chrono_literals;
using Kind = speculation::DraftAnswer::Kind;

constexpr TimePoint kNow{1h};

HostOrder order_of(std::uint64_t session, const Tokens& text, std::uint32_t held, std::uint32_t wanted,
                   std::uint32_t round = 1) {
  HostOrder order;
  order.session = {{7, 7}, session};
  order.round = round;
  order.held = held;
  order.held_hash = speculation::text_hash(std::span(text).first(held));
  order.tokens.assign(text.begin() + held, text.end());
  order.wanted = wanted;
  return order;
}

std::vector<HostAnswer> run(DraftHost& host, TimePoint now = kNow) {
  std::vector<HostAnswer> answers;
  for (int i = 0; i < 10000 && host.has_work(); ++i) host.step(now);
  EXPECT_FALSE(host.has_work());
  return host.take_answers();
}

/// The one answer to an order.
speculation::DraftAnswer ask(DraftHost& host, HostOrder order, TimePoint now = kNow) {
  host.order(std::move(order), now);
  auto answers = run(host, now);
  EXPECT_EQ(answers.size(), 1u);
  return answers.empty() ? speculation::DraftAnswer{} : std::move(answers[0].answer);
}

TEST(DraftHost, GuessesWhatItsModelAnswersGreedily) {
  for (const std::string shape : {"tiny-llama", "tiny-gemma3"}) {
    const auto host = make_host(shape);
    const Tokens text = text_of(1, 70);
    const auto answer = ask(*host, order_of(1, text, 0, 9, 4));
    EXPECT_EQ(answer.kind, Kind::drafted);
    EXPECT_EQ(answer.round, 4u);
    EXPECT_EQ(answer.position, 70u);
    EXPECT_EQ(tokens_of(answer), greedy(shape, text, 9)) << shape;
    for (const speculation::Guess& guess : answer.guesses) {
      EXPECT_GT(guess.confidence, 0);
      EXPECT_LE(guess.confidence, 1);
      EXPECT_LE(guess.second_confidence, guess.confidence);
      EXPECT_NE(guess.second, guess.token);
    }
  }
}

TEST(DraftHost, AnswersManySessionsInOneBatch) {
  const auto host = make_host("tiny-llama");
  std::map<std::uint64_t, Tokens> texts;
  for (std::uint64_t session = 1; session <= 9; ++session) {
    texts[session] = text_of(session, 1 + 13 * session);
    host->order(order_of(session, texts[session], 0, static_cast<std::uint32_t>(session % 4 + 2)), kNow);
  }
  const auto answers = run(*host);
  ASSERT_EQ(answers.size(), 9u);
  for (const HostAnswer& one : answers) {
    const Tokens& text = texts.at(one.session.session);
    EXPECT_EQ(tokens_of(one.answer),
              greedy("tiny-llama", text, static_cast<std::uint32_t>(one.session.session % 4 + 2)));
  }
  // 9 sessions that want 5 guesses at most: their last rows share passes.
  EXPECT_LE(host->stats().passes, 9u);
}

TEST(DraftHost, GoesOnFromWhatItHoldsAndComputesNothingTwice) {
  const auto host = make_host("tiny-llama");
  Tokens text = text_of(3, 100);
  const Tokens first = tokens_of(ask(*host, order_of(1, text, 0, 6)));
  const std::uint64_t rows = host->stats().rows;
  EXPECT_EQ(rows, 100u + 5u) << "the last guess needs no row";
  text.insert(text.end(), first.begin(), first.end());
  const auto on = ask(*host, order_of(1, text, 106, 4, 2));  // all held: its own guesses
  EXPECT_EQ(tokens_of(on), greedy("tiny-llama", text, 4));
  EXPECT_EQ(host->stats().rows - rows, 4u);
}

TEST(DraftHost, RollsBackToWhatTheTargetDrew) {
  const auto host = make_host("tiny-llama");
  std::mt19937_64 random(5);
  Tokens text = text_of(4, 60);
  std::uint32_t held = 0;
  for (std::uint32_t round = 1; round <= 40; ++round) {
    const auto answer = ask(*host, order_of(1, text, held, 5, round));
    ASSERT_EQ(answer.kind, Kind::drafted);
    const Tokens guesses = tokens_of(answer);
    ASSERT_EQ(guesses, greedy("tiny-llama", text, 5)) << round;
    // Some guesses come true; then the target draws something of its own.
    const std::size_t right = random() % 6;
    text.insert(text.end(), guesses.begin(), guesses.begin() + static_cast<std::ptrdiff_t>(right));
    held = static_cast<std::uint32_t>(text.size());
    text.push_back(static_cast<TokenId>(random() % 256));
    if (random() % 4 == 0) {  // and now and then goes back further, as a preempted stream does
      text.resize(text.size() - random() % 30);
      held = std::min(held, static_cast<std::uint32_t>(text.size()));
    }
  }
  EXPECT_EQ(host->stats().lost, 0u);
}

TEST(DraftHost, AnEvictedSessionIsLostAndComesBackWhole) {
  HostOptions options;
  options.max_sessions = 3;
  const auto host = make_host("tiny-llama", options);
  const Tokens text = text_of(1, 40);
  (void)ask(*host, order_of(1, text, 0, 2));
  for (std::uint64_t other = 2; other <= 4; ++other)
    (void)ask(*host, order_of(other, text_of(other, 30), 0, 2), kNow + 1ms);
  EXPECT_EQ(host->stats().evicted, 1u);
  EXPECT_EQ(host->stats().sessions, 3u);
  EXPECT_EQ(ask(*host, order_of(1, text, 40, 2, 2), kNow + 2ms).kind, Kind::lost);
  EXPECT_EQ(tokens_of(ask(*host, order_of(1, text, 0, 2, 3), kNow + 2ms)), greedy("tiny-llama", text, 2));
}

TEST(DraftHost, ATextThatIsNotTheOneItHoldsIsLost) {
  const auto host = make_host("tiny-llama");
  const Tokens text = text_of(1, 40);
  (void)ask(*host, order_of(1, text, 0, 2));
  Tokens other = text;
  other[7] ^= 1;
  EXPECT_EQ(ask(*host, order_of(1, other, 20, 2, 2)).kind, Kind::lost);
  EXPECT_EQ(ask(*host, order_of(1, text_of(1, 99), 99, 2, 3)).kind, Kind::lost) << "more than it ever held";
  EXPECT_EQ(ask(*host, order_of(1, text, 20, 2, 4)).kind, Kind::drafted) << "what it held it still holds";
}

TEST(DraftHost, PagesOfIdleSessionsServeTheBusyOnes) {
  const auto host = make_host("tiny-llama", {}, 4);  // of 64 tokens each
  for (std::uint64_t session = 1; session <= 12; ++session) {
    const Tokens text = text_of(session, 100);
    EXPECT_EQ(tokens_of(ask(*host, order_of(session, text, 0, 3), kNow + session * 1ms)),
              greedy("tiny-llama", text, 3));
  }
  EXPECT_GT(host->stats().evicted, 8u);
  EXPECT_EQ(host->stats().refused, 0u);
}

TEST(DraftHost, SessionsThatHoldEachOthersPagesEndInNoDeadlock) {
  HostOptions options;
  options.pass_rows = 32;
  const auto host = make_host("tiny-llama", options, 4);
  std::map<std::uint64_t, Tokens> texts;
  for (std::uint64_t session = 1; session <= 6; ++session) {
    texts[session] = text_of(session, 120);
    host->order(order_of(session, texts[session], 0, 3), kNow);
  }
  const auto answers = run(*host);
  ASSERT_EQ(answers.size(), 6u);
  std::size_t drafted = 0;
  for (const HostAnswer& one : answers) {
    if (one.answer.kind != Kind::drafted) continue;
    ++drafted;
    EXPECT_EQ(tokens_of(one.answer), greedy("tiny-llama", texts.at(one.session.session), 3));
  }
  EXPECT_GE(drafted, 1u);
}

TEST(DraftHost, ALaterOrderReplacesTheOneUnderWay) {
  const auto host = make_host("tiny-llama");
  Tokens text = text_of(1, 50);
  host->order(order_of(1, text, 0, 20, 1), kNow);
  host->step(kNow);
  host->step(kNow);
  text.push_back(9);
  host->order(order_of(1, text, 50, 3, 2), kNow);
  const auto answers = run(*host);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer.round, 2u);
  EXPECT_EQ(tokens_of(answers[0].answer), greedy("tiny-llama", text, 3));
  EXPECT_EQ(host->stats().replaced, 1u);
}

TEST(DraftHost, ALongTextComesInParts) {
  const auto host = make_host("tiny-llama");
  const Tokens text = text_of(1, 150), part(text.begin(), text.begin() + 90);
  host->order(order_of(1, part, 0, 0), kNow);
  EXPECT_FALSE(host->has_work()) << "more is to come";
  EXPECT_EQ(tokens_of(ask(*host, order_of(1, text, 90, 3))), greedy("tiny-llama", text, 3));
}

TEST(DraftHost, DeadlinesAndLeasesEnd) {
  HostOptions options;
  options.lease = 10s;
  const auto host = make_host("tiny-llama", options);
  const Tokens text = text_of(1, 50);
  HostOrder late = order_of(1, text, 0, 10, 1);
  late.deadline = kNow + 1s;
  host->order(late, kNow);
  host->step(kNow);
  host->step(kNow);
  host->step(kNow + 1s);
  auto answers = host->take_answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(tokens_of(answers[0].answer), greedy("tiny-llama", text, 2)) << "what was guessed by then";
  late.round = 2;
  late.deadline = kNow;
  host->order(late, kNow);
  EXPECT_EQ(run(*host)[0].answer.kind, Kind::refused);
  EXPECT_EQ(host->stats().late, 2u);
  EXPECT_EQ(host->stats().sessions, 1u);
  host->step(kNow + 11s);
  EXPECT_EQ(host->stats().sessions, 0u);
  EXPECT_EQ(host->stats().expired, 1u);
  EXPECT_EQ(host->stats().pages_free, host->stats().pages_total);
}

TEST(DraftHost, RefusesWhatNoTextOfItsModelCanBe) {
  const auto host = make_host("tiny-llama");
  for (const Tokens& text :
       {Tokens{}, Tokens{1, -1}, Tokens{1, 1 << 20}, Tokens(host->context_length(), 5)}) {
    EXPECT_EQ(ask(*host, order_of(1, text, 0, 3)).kind, Kind::refused) << text.size();
  }
  EXPECT_EQ(host->stats().sessions, 0u);
  const Tokens nearly(host->context_length() - 2, 5);
  EXPECT_EQ(ask(*host, order_of(1, nearly, 0, 30)).guesses.size(), 2u) << "no further than its context";
  EXPECT_EQ(ask(*host, order_of(2, {3, 4}, 0, 1u << 30)).guesses.size(), kMostWanted);
}

TEST(DraftHost, ForgetsSessionsAndClients) {
  const auto host = make_host("tiny-llama");
  host->order(order_of(1, text_of(1, 30), 0, 3), kNow);
  host->order(order_of(2, text_of(2, 30), 0, 3), kNow);
  HostOrder other = order_of(3, text_of(3, 30), 0, 3);
  other.session.client = {8, 8};
  host->order(other, kNow);
  host->forget({{7, 7}, 1});
  host->forget({{7, 7}, 99});
  EXPECT_EQ(host->stats().working, 2u);
  host->forget_client({7, 7});
  EXPECT_EQ(host->stats().sessions, 1u);
  const auto answers = run(*host);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].session.client, (NodeId{8, 8}));
}

}  // namespace
}  // namespace troupe::draft
