#include "common/transport/frame_intake.hpp"

#include <gtest/gtest.h>

#include "common/wire/frame.hpp"

namespace troupe {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Rig {
  Rig() {
    SharedRingOptions options;
    options.slots = 4;
    options.slot_bytes = 4096;
    ring = std::move(*SharedRing::create(options));
  }
  static Bytes header(std::uint32_t number, const Bytes& payload) {
    const wire::KvFrame frame{{1, 1},
                              {3},
                              {9, 9},
                              number,
                              0,
                              1,
                              {0},
                              static_cast<std::uint32_t>(payload.size()),
                              frame_checksum(payload),
                              {5}};
    return wire::to_bytes(wire::pack(frame, Epoch{3}));
  }
  FramePayload write(const Bytes& payload) const {
    const auto buffer = ring->buffer(payload.size());
    std::copy(payload.begin(), payload.end(), buffer->append(payload.size()).begin());
    return buffer->finish();
  }
  DataPlaneStats stats() const {
    DataPlaneStats out;
    intake.add_to(out);
    return out;
  }
  std::vector<FramePayload> taken;
  bool accept = true;
  int woken = 0;
  std::shared_ptr<SharedRing> ring;
  FrameIntake intake{[this](const wire::Envelope&, FramePayload payload) {
                       if (accept) taken.push_back(std::move(payload));
                       return accept;
                     },
                     [this] { ++woken; }};
  const Bytes data = Bytes(100, 7);
};

TEST(FrameIntake, TakesAWholeFrameOnceAndAnswersEveryCopy) {
  Rig r;
  for (int i = 0; i < 2; ++i) {
    const auto answer = r.intake.take_whole(Rig::header(4, r.data), r.data);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->accepted);
    EXPECT_EQ(answer->frame, 4u);
    EXPECT_EQ(answer->lease, LeaseId{5});
  }
  EXPECT_EQ(r.taken.size(), 1u);
  EXPECT_EQ(r.stats().repeated, 1u);
}

TEST(FrameIntake, AsksForADamagedFrameAgainAndTakesItThen) {
  Rig r;
  Bytes damaged = r.data;
  damaged[50] ^= 1;
  const auto answer = r.intake.take_whole(Rig::header(0, r.data), damaged);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->accepted);
  EXPECT_TRUE(answer->again);
  EXPECT_TRUE(r.intake.take_whole(Rig::header(0, r.data), r.data)->accepted);
  EXPECT_FALSE(r.intake.take_whole(Bytes{1, 2}, r.data).has_value()) << "nobody to answer";
  EXPECT_FALSE(r.intake.take_whole(Rig::header(0, r.data), Bytes(99, 7)).has_value());
  EXPECT_EQ(r.stats().malformed, 3u);
  EXPECT_EQ(r.taken.size(), 1u);
}

TEST(FrameIntake, ARefusedFrameMayComeAgain) {
  Rig r;
  r.accept = false;
  const auto answer = r.intake.take_whole(Rig::header(0, r.data), r.data);
  EXPECT_FALSE(answer->accepted);
  EXPECT_FALSE(answer->again);
  r.accept = true;
  EXPECT_TRUE(r.intake.take_whole(Rig::header(0, r.data), r.data)->accepted);
}

TEST(FrameIntake, AFrameReadInPlaceIsAnsweredWhenItsReaderLetsGo) {
  Rig r;
  const FramePayload sent = r.write(r.data);
  const Bytes head = Rig::header(0, r.data);
  EXPECT_FALSE(r.intake.take_shared("sender", head, sent->descriptor()).has_value());
  ASSERT_EQ(r.taken.size(), 1u);
  EXPECT_TRUE(r.intake.take_credits().empty());
  EXPECT_TRUE(r.intake.take_shared("sender", head, sent->descriptor())->held) << "asked after";
  EXPECT_EQ(r.taken.size(), 1u);
  r.taken.clear();
  EXPECT_EQ(r.woken, 1);
  const auto credits = r.intake.take_credits();
  ASSERT_EQ(credits.size(), 1u);
  EXPECT_EQ(credits[0].first, "sender");
  EXPECT_TRUE(credits[0].second.accepted);
  EXPECT_FALSE(credits[0].second.held);
  const auto repeat = r.intake.take_shared("sender", head, sent->descriptor());
  EXPECT_TRUE(repeat->accepted && !repeat->held) << "known, and not read again";
  EXPECT_TRUE(r.taken.empty());
}

TEST(FrameIntake, WhatLiesThereAndIsNotTheFrameIsAskedForWhole) {
  Rig r;
  FramePayload sent = r.write(Bytes(100, 8));
  EXPECT_TRUE(r.intake.take_shared("s", Rig::header(0, r.data), sent->descriptor())->again)
      << "another content";
  sent = r.write(Bytes(99, 7));
  EXPECT_TRUE(r.intake.take_shared("s", Rig::header(0, r.data), sent->descriptor())->again)
      << "another length";
  const std::string gone = r.write(r.data)->descriptor();
  EXPECT_TRUE(r.intake.take_shared("s", Rig::header(0, r.data), gone)->again) << "taken back";
  EXPECT_TRUE(r.intake.take_shared("s", Rig::header(0, r.data), "junk")->again);
  EXPECT_TRUE(r.taken.empty());
  EXPECT_TRUE(r.intake.take_whole(Rig::header(0, r.data), r.data)->accepted);
}

TEST(FrameIntake, PayloadsMayOutliveIt) {
  FramePayload kept;
  {
    Rig r;
    const FramePayload sent = r.write(r.data);
    EXPECT_FALSE(r.intake.take_shared("s", Rig::header(0, r.data), sent->descriptor()).has_value());
    kept = std::move(r.taken.at(0));
  }
  EXPECT_EQ((*kept)[0], 7);
  EXPECT_FALSE(kept->intact()) << "its sender let go as well";
}

}  // namespace
}  // namespace troupe
