#pragma once
// The bytes of data frames: read by whoever holds the payload, written once, wherever they lie.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// Bytes of one frame. Immutable; threads: any.
class FrameBytes {
 public:
  explicit FrameBytes(std::vector<std::uint8_t> bytes) : own_(std::move(bytes)), view_(own_) {}
  /// Bytes that stay where they are as long as `owner` lives. `descriptor` says how another process of this
  /// host finds them (shared_ring.hpp). `intact` is asked once they were read: false when their owner wrote
  /// over them meanwhile.
  FrameBytes(std::span<const std::uint8_t> view, std::shared_ptr<const void> owner,
             std::string descriptor = {}, std::function<bool()> intact = {})
      : view_(view),
        owner_(std::move(owner)),
        descriptor_(std::move(descriptor)),
        intact_(std::move(intact)) {}
  FrameBytes(const FrameBytes&) = delete;
  FrameBytes& operator=(const FrameBytes&) = delete;

  [[nodiscard]] const std::uint8_t* data() const { return view_.data(); }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] const std::uint8_t* begin() const { return data(); }
  [[nodiscard]] const std::uint8_t* end() const { return data() + size(); }
  [[nodiscard]] std::uint8_t operator[](std::size_t i) const { return view_[i]; }
  /// Empty: only this process has them.
  [[nodiscard]] const std::string& descriptor() const { return descriptor_; }
  /// Whether what was read so far is the frame.
  [[nodiscard]] bool intact() const { return !intact_ || intact_(); }

 private:
  std::vector<std::uint8_t> own_;
  std::span<const std::uint8_t> view_;
  std::shared_ptr<const void> owner_;
  std::string descriptor_;
  std::function<bool()> intact_;
};

/// Shared because sender, socket and receiver let go at different times.
using FramePayload = std::shared_ptr<const FrameBytes>;

[[nodiscard]] inline FramePayload make_payload(std::vector<std::uint8_t> bytes) {
  return std::make_shared<const FrameBytes>(std::move(bytes));
}

/// Room for one frame that is being written. Threads: one.
class FrameBuffer {
 public:
  virtual ~FrameBuffer() = default;
  /// The next `bytes`, to be filled. At most the capacity it was made for in all.
  [[nodiscard]] virtual std::span<std::uint8_t> append(std::size_t bytes) = 0;
  [[nodiscard]] virtual std::span<const std::uint8_t> bytes() const = 0;
  /// What was written, as a payload; the buffer is spent.
  [[nodiscard]] virtual FramePayload finish() = 0;
};

/// Room for a frame of at most `capacity` bytes towards a process with this host identity (shared_ring.hpp;
/// empty: not known).
using MakeFrameBuffer =
    std::function<std::unique_ptr<FrameBuffer>(const std::string& host, std::size_t capacity)>;

}  // namespace troupe
