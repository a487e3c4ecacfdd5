#pragma once
// Frame buffers in this process's memory, used again and again: a network send costs no allocation once it is
// under way.
#include <mutex>

#include "common/transport/frame_bytes.hpp"

namespace troupe {

/// Threads: any. What it lent outlives it.
class FramePool : public std::enable_shared_from_this<FramePool> {
 public:
  /// Keeps at most `most` buffers for later.
  [[nodiscard]] static std::shared_ptr<FramePool> create(std::size_t most) {
    return std::shared_ptr<FramePool>(new FramePool(most));
  }
  [[nodiscard]] std::unique_ptr<FrameBuffer> buffer(std::size_t capacity);
  /// Buffers that wait to be used again.
  [[nodiscard]] std::size_t spare() const;

 private:
  explicit FramePool(std::size_t most) : most_(most) {}
  void give_back(std::vector<std::uint8_t> memory);

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::vector<std::vector<std::uint8_t>> spare_;
};

}  // namespace troupe
