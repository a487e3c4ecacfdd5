#include <gtest/gtest.h>

#include "common/wire/frame.hpp"
#include "common/wire/messages.hpp"
#include "tests/common/wire/samples.hpp"

namespace troupe::wire {
namespace {

// A message as two releases of it: the newer one appended a field.
struct Old {
  static constexpr std::string_view kName = "Old";
  static constexpr std::uint16_t kNumber = 900, kVersion = 1, kOldestReader = 1;
  std::uint32_t a = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("a", s.a);
  }
};
struct New {
  static constexpr std::string_view kName = "New";
  static constexpr std::uint16_t kNumber = 900, kVersion = 2, kOldestReader = 1;
  std::uint32_t a = 0;
  std::string b = "default";
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("a", s.a);
    v.since(2, "b", s.b);
  }
};
struct Breaking : New {
  static constexpr std::uint16_t kOldestReader = 2;
};

// Generate as a release of before grammars reads it; what it reads is not the point.
struct OldGenerate {
  TROUPE_MESSAGE(Generate, 7, 1);
  template <class V, class S>
  static void fields(V&&, S&) {}
};

TEST(Codec, EveryMessageRoundTripsToTheSameBytes) {
  const auto samples = message_samples();
  int declared = 0;
#define X(name, number) ++declared;
#include "common/wire/message_ids.def"
#include "common/wire/draft_message_ids.def"
#undef X
  ASSERT_EQ(samples.size(), static_cast<std::size_t>(declared)) << "a message has no sample";
  for (const Envelope& sample : samples) {
    const auto again = recode(sample);
    ASSERT_TRUE(again.has_value()) << message_name(sample.type) << ": " << to_string(again.error());
    EXPECT_EQ(*again, sample.payload) << message_name(sample.type);
  }
}

TEST(Codec, RefusesEveryTruncationAndEveryTrailingByte) {
  for (const Envelope& sample : message_samples()) {
    for (std::size_t size = 0; size < sample.payload.size(); ++size) {
      Envelope cut = sample;
      cut.payload.resize(size);
      const auto result = recode(cut);
      ASSERT_FALSE(result.has_value()) << message_name(sample.type) << " cut to " << size;
      EXPECT_EQ(result.error().code, Errc::wire_malformed);
    }
    Envelope longer = sample;
    longer.payload.push_back(0);
    EXPECT_FALSE(recode(longer).has_value()) << message_name(sample.type);
  }
}

TEST(Codec, ACountBeyondTheBytesLeftIsRefusedBeforeAllocation) {
  auto payload = encode(Leave{NodeId{1, 2}, "x"});
  payload[4 + 16 + 3] = 0x7F;  // the string's count becomes 0x7F000001
  const auto result = decode<Leave>(payload);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().detail.find("Leave.reason"), std::string::npos) << result.error().detail;
}

TEST(Codec, AnUnknownEnumeratorIsRefusedByName) {
  auto payload = encode(Join{});
  payload[4 + 16] = 9;  // role
  const auto result = decode<Join>(payload);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().detail.find("Join.role"), std::string::npos) << result.error().detail;
}

TEST(Codec, AnOldReaderTakesANewerMessageThatAllowsIt) {
  const auto old = decode<Old>(encode(New{5, "new"}));
  ASSERT_TRUE(old.has_value()) << to_string(old.error());
  EXPECT_EQ(old->a, 5u);
}

TEST(Codec, ANewReaderTakesAnOlderMessageWithDefaults) {
  const auto result = decode<New>(encode(Old{6}));
  ASSERT_TRUE(result.has_value()) << to_string(result.error());
  EXPECT_EQ(result->a, 6u);
  EXPECT_EQ(result->b, "default");
}

TEST(Codec, AnOldReaderRefusesAMessageThatBreaksWithIt) {
  Breaking message;
  Encoder encoder;
  encoder.put(Breaking::kVersion, {});
  encoder.put(Breaking::kOldestReader, {});
  New::fields(encoder, message);
  const auto result = decode<Old>(encoder.take());
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::wire_version);
}

TEST(Codec, AnOldWorkerRefusesAGrammarThatItWouldOverlook) {
  Generate order;
  EXPECT_TRUE(decode<OldGenerate>(encode(order)).has_value());
  order.grammar.kind = grammar::Kind::json_object;
  const auto result = decode<OldGenerate>(encode(order));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::wire_version);
}

TEST(Codec, AWorkerOfBeforeBeamsRefusesASearchThatItWouldDraw) {
  Generate order;
  order.grammar.kind = grammar::Kind::json_object;
  EXPECT_EQ(order.oldest_reader(), 8);
  order.beam.width = 2;
  EXPECT_EQ(order.oldest_reader(), 9) << "whatever else it asks for";
  const auto result = decode<OldGenerate>(encode(order));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::wire_version);
}

TEST(Codec, AGrammarNeedsAReaderThatKnowsItsKind) {
  Generate order;
  EXPECT_EQ(order.oldest_reader(), Generate::kOldestReader);
  order.grammar.kind = grammar::Kind::gbnf;
  EXPECT_EQ(order.oldest_reader(), 8);
  order.grammar.kind = grammar::Kind::tagged;
  EXPECT_EQ(order.oldest_reader(), 9);
}

TEST(Codec, RulesAndNewSamplersNeedAReaderThatKnowsThemAndAReferenceDoesNot) {
  Generate order;
  order.reference = {1, 2, 3};
  EXPECT_EQ(order.oldest_reader(), Generate::kOldestReader) << "who does not know it drafts worse, and answers the same";
  const auto alone = [](auto change) {
    Generate one;
    one.beam.width = 2;
    change(one);
    return one.oldest_reader();
  };
  EXPECT_EQ(alone([](Generate& one) { one.rules.min_tokens = 1; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.rules.allowed = {3}; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.rules.bad_words = {{3}}; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.repeat_last_n = 64; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.top_n_sigma = 1; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.xtc_probability = 0.5f; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.dynatemp_range = 0.5f; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.dry.multiplier = 0.5f; }), 10);
  EXPECT_EQ(alone([](Generate& one) { one.sampling.p.dry.base = 2; }), 9) << "says nothing without a multiplier";
}

TEST(Codec, AWorkerOfBeforeSuperposedDraftsRefusesThemWhateverElseIsAsked) {
  Generate order;
  order.rules.min_tokens = 1;
  EXPECT_EQ(order.oldest_reader(), 10);
  order.superposed.drafts = 3;
  EXPECT_EQ(order.oldest_reader(), 11);
  const auto result = decode<OldGenerate>(encode(order));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::wire_version);
  const auto again = decode<Generate>(encode(order));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->superposed, order.superposed);
}

TEST(Codec, AnEnvelopeOfAnotherTypeIsRefused) {
  EXPECT_FALSE(unpack<Pong>(pack(Ping{1})).has_value());
  EXPECT_FALSE(recode(Envelope{4711, {}, {1, 0, 1, 0}}).has_value());
}

TEST(Frame, AnEnvelopeRoundTripsAsBytes) {
  for (const Envelope& sample : message_samples()) {
    const auto again = from_bytes(to_bytes(sample));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->type, sample.type);
    EXPECT_EQ(again->epoch, sample.epoch);
    EXPECT_EQ(again->payload, sample.payload);
  }
  EXPECT_FALSE(from_bytes(std::vector<std::uint8_t>{1, 2, 3}).has_value());
}

TEST(Frame, OneWrongByteAnywhereIsRefused) {
  const auto bytes = to_bytes(pack(Ping{0x1234}, Epoch{7}));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= 0x10;
    EXPECT_FALSE(from_bytes(damaged).has_value()) << i;
  }
}

TEST(Frame, TheChecksumIsOfTheSenderToo) {
  const Envelope ping = pack(Ping{1});
  EXPECT_NE(checksum(ping, "tcp://127.0.0.1:1"), checksum(ping, "tcp://127.0.0.1:2"));
}

TEST(CodecDeathTest, AFieldOverItsBoundIsAProgrammersFault) {
  EXPECT_DEATH((void)encode(Leave{NodeId{}, std::string(5000, 'x')}), "over its bound");
}

}  // namespace
}  // namespace troupe::wire
