#pragma once
// Frames that a receiver took lately: one that comes again, because its acknowledgement was slow or lost, is
// acknowledged again and handed to nobody.
#include <deque>
#include <set>

#include "common/base/hash.hpp"
#include "common/transport/frame_header.hpp"

namespace troupe {

/// With the checksum: a source that was asked again may cut its frames in another way.
[[nodiscard]] inline BlockKey frame_key(const FrameIdentity& frame) {
  return Hasher()
      .id(frame.request)
      .number(frame.epoch.value)
      .number(frame.lease.value)
      .number(frame.frame)
      .number(frame.checksum)
      .finish<BlockKey>();
}

/// Threads: one.
class RecentFrames {
 public:
  explicit RecentFrames(std::size_t most = 1024) : most_(most) {}
  [[nodiscard]] bool contains(const FrameIdentity& frame) const { return known_.contains(frame_key(frame)); }
  void add(const FrameIdentity& frame) {
    const BlockKey k = frame_key(frame);
    if (!known_.insert(k).second) return;
    order_.push_back(k);
    if (order_.size() <= most_) return;
    known_.erase(order_.front());
    order_.pop_front();
  }

 private:
  std::size_t most_;
  std::set<BlockKey> known_;
  std::deque<BlockKey> order_;
};

}  // namespace troupe
