#include "common/worker/kv_publisher.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace troupe::worker {
namespace {

/// Takes frames while there is room and remembers every page it saw.
struct Receiver {
  SendResult send(const wire::Envelope& header, const FramePayload& payload) {
    if (closed) return SendResult::closed;
    if (room == 0) return SendResult::window_full;
    --room;
    const auto frame = *wire::unpack<wire::KvFrame>(header);
    EXPECT_EQ(frame.checksum, frame_checksum({payload->data(), payload->size()}));
    EXPECT_EQ(frame.frame, sizes.size());
    EXPECT_EQ(payload->size(), frame.layers * frame.pages.size() * frame.layer_page_bytes);
    sizes.push_back(payload->size());
    std::size_t at = 0;
    for (std::uint32_t layer = frame.first_layer; layer < frame.first_layer + frame.layers; ++layer) {
      for (const std::uint32_t page : frame.pages) {
        EXPECT_TRUE(seen.emplace(std::pair{layer, page}, (*payload)[at]).second) << "a page came twice";
        at += frame.layer_page_bytes;
      }
    }
    return SendResult::sent;
  }
  std::size_t room = 1000;
  bool closed = false;
  std::vector<std::size_t> sizes;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint8_t> seen;
};

std::uint8_t content(std::uint32_t layer, std::uint32_t physical) {
  return static_cast<std::uint8_t>(layer * 16 + physical);
}

KvPublisher publisher(Receiver& to, std::uint32_t layers, std::uint32_t page_bytes, std::uint32_t first,
                      std::uint32_t end) {
  Publication what;
  what.layers = layers;
  what.layer_page_bytes = page_bytes;
  what.first_page = first;
  what.end_page = end;
  return KvPublisher(
      what,
      [](std::uint32_t layer, std::uint32_t page, std::span<std::byte> bytes) {
        std::fill(bytes.begin(), bytes.end(), std::byte{content(layer, page)});
      },
      [&to](const std::string&, const wire::Envelope& header, const RequestId&, FramePayload payload) {
        return to.send(header, payload);
      });
}

/// Physical pages are the sequence's own plus one.
engine::PrefillProgress progress(std::uint32_t layer, std::uint32_t first, std::uint32_t pages,
                                 std::uint32_t tokens) {
  engine::PrefillProgress out;
  out.layer = layer;
  out.first_page = first;
  out.tokens = tokens;
  for (std::uint32_t i = 0; i < pages; ++i) out.pages.push_back(first + i + 1);
  return out;
}

TEST(KvPublisher, BundlesLayersToFramesOfTheRightSize) {
  Receiver to;
  auto p = publisher(to, 30, 49152, 0, 4);
  for (std::uint32_t layer = 0; layer < 30; ++layer) EXPECT_TRUE(p.offer(progress(layer, 0, 4, 256)));
  EXPECT_TRUE(p.flush());
  EXPECT_TRUE(p.complete());
  EXPECT_EQ(to.seen.size(), 120u);
  for (const auto& [place, byte] : to.seen) EXPECT_EQ(byte, content(place.first, place.second + 1));
  EXPECT_EQ(p.frames(), 15u);  // two layers of four pages each: 384 KiB
  for (const std::size_t size : to.sizes) EXPECT_EQ(size, 2u * 4 * 49152);
}

TEST(KvPublisher, SplitsWhatOneLayerHoldsTooMuchOf) {
  Receiver to;
  auto p = publisher(to, 2, 512 * 1024, 0, 10);
  for (std::uint32_t layer = 0; layer < 2; ++layer) EXPECT_TRUE(p.offer(progress(layer, 0, 10, 640)));
  EXPECT_TRUE(p.flush());
  EXPECT_TRUE(p.complete());
  EXPECT_EQ(to.seen.size(), 20u);
  for (const std::size_t size : to.sizes) EXPECT_LE(size, 2u << 20);
}

TEST(KvPublisher, AFullWindowIsPassedOnAndNothingIsLostOrRepeated) {
  Receiver to;
  to.room = 0;
  auto p = publisher(to, 6, 300 * 1024, 0, 2);
  std::uint32_t refusals = 0;
  for (std::uint32_t layer = 0; layer < 6; ++layer) {
    while (!p.offer(progress(layer, 0, 2, 128))) {
      ++refusals;
      to.room = 1;
    }
  }
  while (!p.flush()) to.room = 1;
  EXPECT_GT(refusals, 3u);
  EXPECT_TRUE(p.complete());
  EXPECT_EQ(to.seen.size(), 12u);
}

TEST(KvPublisher, SendsOnlyWholeAndWantedPagesChunkByChunk) {
  Receiver to;
  auto p = publisher(to, 2, 1024, 1, 3);
  for (std::uint32_t layer = 0; layer < 2; ++layer) EXPECT_TRUE(p.offer(progress(layer, 0, 2, 100)));
  EXPECT_TRUE(p.flush());
  EXPECT_TRUE(to.seen.empty()) << "page 0 is held by the receiver, page 1 is half full";
  for (std::uint32_t layer = 0; layer < 2; ++layer) EXPECT_TRUE(p.offer(progress(layer, 1, 3, 250)));
  EXPECT_TRUE(p.flush());
  EXPECT_TRUE(p.complete());
  std::set<std::pair<std::uint32_t, std::uint32_t>> places;
  for (const auto& [place, byte] : to.seen) places.insert(place);
  EXPECT_EQ(places, (std::set<std::pair<std::uint32_t, std::uint32_t>>{{0, 1}, {0, 2}, {1, 1}, {1, 2}}));
}

TEST(KvPublisher, AClosedWayOrASkippedPageFailsWithoutBlockingTheEngine) {
  Receiver to;
  to.closed = true;
  auto p = publisher(to, 1, 300 * 1024, 0, 2);
  EXPECT_TRUE(p.offer(progress(0, 0, 2, 128)));
  EXPECT_TRUE(p.failed());
  Receiver other;
  auto skipped = publisher(other, 1, 1024, 0, 3);
  EXPECT_TRUE(skipped.offer(progress(0, 1, 2, 192)));
  EXPECT_TRUE(skipped.failed());
}

}  // namespace
}  // namespace troupe::worker
