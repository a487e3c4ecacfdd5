#include "common/transport/peer_window.hpp"

#include <gtest/gtest.h>

#include "common/transport/recent_frames.hpp"

namespace troupe {
namespace {

using namespace std::chrono_literals;
using Answer = PeerWindow::Answer;

OutgoingFrame frame(std::uint32_t number, std::uint64_t lease = 1) {
  OutgoingFrame out;
  out.identity = {{1, 1}, {3}, number, 99, {lease}};
  out.payload = make_payload(std::vector<std::uint8_t>(8));
  return out;
}
wire::FrameAck ack(std::uint32_t number, bool accepted = true, bool again = false, std::uint64_t lease = 1) {
  return {{1, 1}, {3}, number, accepted, {lease}, again, false};
}

struct Rig {
  explicit Rig(PeerWindowOptions options = {}) : window(options) {}
  /// Numbers of the frames that leave now.
  std::vector<std::uint32_t> leave() {
    std::vector<std::uint32_t> numbers;
    while (const auto next = window.next(now)) numbers.push_back(next->identity.frame);
    return numbers;
  }
  TimePoint now{};
  PeerWindow window;
};

using Numbers = std::vector<std::uint32_t>;

TEST(PeerWindow, HoldsNoMoreThanItsWindowUntilFramesAreAcknowledged) {
  Rig r;
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(r.window.offer(frame(i), r.now));
  EXPECT_FALSE(r.window.offer(frame(4), r.now));
  EXPECT_EQ(r.leave(), (Numbers{0, 1, 2, 3}));
  EXPECT_FALSE(r.window.offer(frame(4), r.now)) << "sent ones count until they are acknowledged";
  EXPECT_EQ(r.window.acknowledge(ack(1), r.now), Answer::taken);
  EXPECT_EQ(r.window.acknowledge(ack(1), r.now), Answer::unknown);
  EXPECT_TRUE(r.window.offer(frame(4), r.now));
  EXPECT_EQ(r.window.outstanding(), 4u);
}

TEST(PeerWindow, ADamagedFrameIsSentAgainBeforeOthersAndNotForEver) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_TRUE(r.window.offer(frame(1), r.now));
  for (int sends = 1; sends < 3; ++sends) {
    EXPECT_EQ(r.window.acknowledge(ack(0, false, true), r.now), Answer::again);
    EXPECT_EQ(r.leave().at(0), 0u);
  }
  EXPECT_EQ(r.window.acknowledge(ack(0, false, true), r.now), Answer::refused);
  EXPECT_EQ(r.window.outstanding(), 1u);
}

TEST(PeerWindow, ARefusedFrameIsNotSentAgain) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_EQ(r.window.acknowledge(ack(0, false), r.now), Answer::refused);
  EXPECT_EQ(r.window.outstanding(), 0u);
}

TEST(PeerWindow, ALostFrameIsSentAgainEachTimeAfterTwiceAsLong) {
  Rig r({4, 60s, 1s, 3});
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_EQ(r.window.wake_at(), r.now + 1s);
  EXPECT_EQ(r.window.resend_due(r.now + 999ms), 0u);
  r.now += 1s;
  EXPECT_EQ(r.window.resend_due(r.now), 1u);
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_EQ(r.window.resend_due(r.now + 1999ms), 0u);
  r.now += 2s;
  EXPECT_EQ(r.window.resend_due(r.now), 1u);
  EXPECT_EQ(r.leave(), Numbers{0});
  r.now += 50s;
  EXPECT_EQ(r.window.resend_due(r.now), 0u) << "three times in all";
  EXPECT_FALSE(r.window.lost(r.now));
  EXPECT_TRUE(r.window.lost(r.now + 7s));
}

TEST(PeerWindow, AFrameWhoseMemoryIsStillReadIsAskedAfterAndNeitherLostNorGivenUp) {
  Rig r({4, 5s, 1s, 3});
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  wire::FrameAck held = ack(0);
  held.held = true;
  for (int seconds = 0; seconds < 60; ++seconds) {
    r.now += 1s;
    EXPECT_EQ(r.window.resend_due(r.now), 1u);
    EXPECT_EQ(r.leave(), Numbers{0});
    EXPECT_EQ(r.window.acknowledge(held, r.now), Answer::held);
    EXPECT_FALSE(r.window.lost(r.now));
  }
  EXPECT_EQ(r.window.outstanding(), 1u);
  EXPECT_EQ(r.window.acknowledge(ack(0), r.now), Answer::taken);
  EXPECT_EQ(r.window.outstanding(), 0u);
}

TEST(PeerWindow, AFrameThatIsAskedForAgainGoesWhole) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_FALSE(r.window.next(r.now)->whole);
  EXPECT_EQ(r.window.acknowledge(ack(0, false, true), r.now), Answer::again);
  EXPECT_TRUE(r.window.next(r.now)->whole);
}

TEST(PeerWindow, AnAcknowledgementThatComesWhileTheFrameWaitsToGoAgainIsTaken) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  r.now += 1s;
  EXPECT_EQ(r.window.resend_due(r.now), 1u);
  EXPECT_EQ(r.window.acknowledge(ack(0), r.now), Answer::taken);
  EXPECT_TRUE(r.leave().empty());
  EXPECT_EQ(r.window.outstanding(), 0u);
}

TEST(PeerWindow, FramesOfDifferentLeasesAreDifferentFrames) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0, 1), r.now));
  EXPECT_TRUE(r.window.offer(frame(0, 2), r.now));
  EXPECT_EQ(r.leave().size(), 2u);
  EXPECT_EQ(r.window.acknowledge(ack(0, true, false, 2), r.now), Answer::taken);
  EXPECT_EQ(r.window.transfers(), (std::vector<TransferId>{{{1, 1}, {3}, {1}}}));
}

TEST(PeerWindow, DroppedFramesStayAwayAndFreeTheirPlaceWhenAcknowledged) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_TRUE(r.window.offer(frame(1), r.now));
  r.window.drop({1, 1});
  EXPECT_EQ(r.window.outstanding(), 1u) << "the one that left";
  r.now += 2s;
  EXPECT_EQ(r.window.resend_due(r.now), 0u);
  EXPECT_EQ(r.window.acknowledge(ack(0), r.now), Answer::taken);
  EXPECT_EQ(r.window.outstanding(), 0u);
  EXPECT_FALSE(r.window.wake_at().has_value());
}

TEST(PeerWindow, AFrameTheSocketDidNotTakeWasNotSent) {
  Rig r;
  EXPECT_TRUE(r.window.offer(frame(0), r.now));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(r.window.next(r.now).has_value());
    r.window.put_back();
  }
  EXPECT_TRUE(r.window.has_queued());
  EXPECT_EQ(r.leave(), Numbers{0});
  EXPECT_EQ(r.window.acknowledge(ack(0, false, true), r.now), Answer::again);
}

TEST(RecentFrames, KnowsTheNewestByEverythingThatNamesThem) {
  RecentFrames recent(2);
  const FrameIdentity one{{1, 1}, {3}, 0, 5, {7}};
  EXPECT_FALSE(recent.contains(one));
  recent.add(one);
  recent.add(one);
  EXPECT_TRUE(recent.contains(one));
  FrameIdentity other = one;
  other.checksum = 6;
  EXPECT_FALSE(recent.contains(other)) << "the same number with another content";
  recent.add(other);
  other.lease = {8};
  recent.add(other);
  EXPECT_FALSE(recent.contains(one));
  EXPECT_TRUE(recent.contains(other));
}

}  // namespace
}  // namespace troupe
