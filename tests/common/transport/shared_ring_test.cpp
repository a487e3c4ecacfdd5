#include "common/transport/shared_ring.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include <gtest/gtest.h>

#include "common/transport/frame_pool.hpp"

namespace troupe {
namespace {

std::shared_ptr<SharedRing> ring(std::uint32_t slots = 2, std::size_t bytes = 8192) {
  auto made = SharedRing::create({slots, bytes});
  EXPECT_TRUE(made.has_value()) << (made ? "" : to_string(made.error()));
  return *made;
}

FramePayload written(FrameBuffer& buffer, std::uint8_t value, std::size_t size) {
  std::ranges::fill(buffer.append(size / 2), value);
  std::ranges::fill(buffer.append(size - size / 2), static_cast<std::uint8_t>(value + 1));
  EXPECT_EQ(buffer.bytes().size(), size);
  return buffer.finish();
}

TEST(SharedRing, AFrameIsReadWhereItWasWritten) {
  const auto from = ring();
  const FramePayload sent = written(*from->buffer(8192), 7, 8192);
  SharedSegments segments;
  const auto got = segments.open(sent->descriptor());
  ASSERT_TRUE(got.has_value()) << to_string(got.error());
  EXPECT_TRUE(std::equal(sent->begin(), sent->end(), (*got)->begin(), (*got)->end()));
  EXPECT_NE((*got)->data(), sent->data()) << "another mapping";
  EXPECT_TRUE((*got)->intact());
  EXPECT_EQ((*got)->descriptor(), "");
}

TEST(SharedRing, LendsNoMoreThanItsSlotsAndNoneThatIsTooSmall) {
  const auto from = ring();
  EXPECT_EQ(from->buffer(8193), nullptr);
  auto first = from->buffer(10), second = from->buffer(10);
  EXPECT_EQ(from->buffer(10), nullptr);
  FramePayload payload = written(*first, 1, 10);
  first.reset();
  EXPECT_EQ(from->slots_in_use(), 2u) << "the payload keeps it";
  payload.reset();
  second.reset();
  EXPECT_EQ(from->slots_in_use(), 0u);
  EXPECT_NE(from->buffer(10), nullptr);
}

TEST(SharedRing, ALateReaderFindsOutThatTheSlotWasTakenBack) {
  const auto from = ring(1);
  SharedSegments segments;
  FramePayload sent = written(*from->buffer(64), 7, 64);
  const std::string descriptor = sent->descriptor();
  const FramePayload got = *segments.open(descriptor);
  EXPECT_TRUE(got->intact());
  sent.reset();
  EXPECT_FALSE(got->intact()) << "free, even before it is written again";
  sent = written(*from->buffer(64), 9, 64);
  EXPECT_FALSE(got->intact());
  EXPECT_EQ(segments.open(descriptor).error().code, Errc::invalid_argument);
  EXPECT_TRUE((*segments.open(sent->descriptor()))->intact());
}

TEST(SharedRing, RefusesDescriptorsOfAnythingElse) {
  const auto from = ring();
  const FramePayload sent = written(*from->buffer(64), 7, 64);
  const std::string& good = sent->descriptor();
  SharedSegments segments;
  for (const std::string& bad :
       {std::string(), std::string("1:2"), std::string("a:b:c:d:e:f"), good + "9999999999", good + ":1",
        "999999999" + good, good.substr(0, good.find(':')) + ":0:00:0:1:64"})
    EXPECT_FALSE(segments.open(bad).has_value()) << bad;
  EXPECT_EQ(segments.size(), 1u) << "only the true segment is mapped";
  // The right segment, another slot than any it has.
  std::string far = good;
  const std::size_t token_end = far.find(':', far.find(':', far.find(':') + 1) + 1);
  far.replace(token_end, std::string::npos, ":2:1:64");
  EXPECT_FALSE(segments.open(far).has_value());
}

TEST(SharedRing, ASendersDeathFreesItsSegment) {
  int to_parent[2], to_child[2];
  ASSERT_EQ(::pipe(to_parent), 0);
  ASSERT_EQ(::pipe(to_child), 0);
  const pid_t child = ::fork();
  if (child == 0) {  // its own ring, then it waits to be killed
    const auto mine = SharedRing::create({1, 8192});
    const FramePayload sent = written(*(*mine)->buffer(64), 42, 64);
    if (::write(to_parent[1], sent->descriptor().data(), sent->descriptor().size()) < 0) ::_exit(1);
    char wait = 0;
    (void)!::read(to_child[0], &wait, 1);
    ::_exit(0);
  }
  char text[256];
  const ssize_t size = ::read(to_parent[0], text, sizeof text);
  ASSERT_GT(size, 0);
  SharedSegments segments;
  auto got = segments.open(std::string_view(text, static_cast<std::size_t>(size)));
  ASSERT_TRUE(got.has_value()) << to_string(got.error());
  EXPECT_EQ((**got)[0], 42);
  segments.drop_ended();
  EXPECT_EQ(segments.size(), 1u);
  ASSERT_EQ(segments.process_handles().size(), 1u);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  segments.drop_ended();
  EXPECT_EQ(segments.size(), 0u);
  EXPECT_EQ((**got)[0], 42) << "a payload keeps its mapping";
  for (const int fd : {to_parent[0], to_parent[1], to_child[0], to_child[1]}) ::close(fd);
}

TEST(HostIdentity, IsOneInThisProcess) {
  EXPECT_FALSE(host_identity().empty());
  EXPECT_EQ(host_identity(), host_identity());
}

TEST(FramePool, UsesABufferAgainOnceItsPayloadIsGone) {
  const auto pool = FramePool::create(1);
  auto buffer = pool->buffer(4096);
  FramePayload payload = written(*buffer, 3, 4096);
  buffer.reset();
  const std::uint8_t* const memory = payload->data();
  EXPECT_EQ(payload->descriptor(), "");
  EXPECT_EQ(pool->spare(), 0u);
  payload.reset();
  EXPECT_EQ(pool->spare(), 1u);
  buffer = pool->buffer(4096);
  EXPECT_EQ(buffer->append(1).data(), memory);
  auto other = pool->buffer(10);
  other.reset();
  buffer.reset();
  EXPECT_EQ(pool->spare(), 1u) << "no more are kept";
}

}  // namespace
}  // namespace troupe
