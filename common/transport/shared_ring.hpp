#pragma once
// Frames between processes of one host without a socket in between: the sender writes them once, into slots
// of a segment that the receiver maps; a message carries the slot's descriptor only.
//
//   sender   SharedRing: memfd   [ head: token, generations | slot | slot | ... ]
//   receiver SharedSegments: /proc/PID/fd/FD, mapped read-only, by the descriptor
//   "PID:FD:TOKEN:SLOT:GENERATION:BYTES"
//
// A slot is the sender's lease: it is free again when its payload is let go (acknowledged, or given up). Its
// generation changes then, before anything is written over, so a reader that was late finds out
// (FrameBytes::intact) and takes nothing. The segment has no name in any file system: it is gone with the
// last process that maps it, however that ends.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/transport/frame_bytes.hpp"

namespace troupe {

/// Equal in processes that can map each other's segments: this boot, this process namespace, this user.
[[nodiscard]] const std::string& host_identity();

struct SharedRingOptions {
  std::uint32_t slots = 16;
  std::size_t slot_bytes = 2u << 20;
};

/// Threads: any. What it lent outlives it.
class SharedRing : public std::enable_shared_from_this<SharedRing> {
 public:
  /// Memory is taken as slots are first written. Errors: io_failed.
  [[nodiscard]] static Expected<std::shared_ptr<SharedRing>> create(const SharedRingOptions& options);
  ~SharedRing();
  SharedRing(const SharedRing&) = delete;
  SharedRing& operator=(const SharedRing&) = delete;

  /// null: every slot is in use, or too small.
  [[nodiscard]] std::unique_ptr<FrameBuffer> buffer(std::size_t capacity);
  [[nodiscard]] std::uint32_t slots_in_use() const;

 private:
  class Buffer;
  explicit SharedRing(const SharedRingOptions& options) : options_(options), used_(options.slots, false) {}
  [[nodiscard]] std::uint8_t* slot_memory(std::uint32_t slot) const;
  void release(std::uint32_t slot);
  void bump(std::uint32_t slot);

  const SharedRingOptions options_;
  int fd_ = -1;
  std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
  std::string name_;  // PID:FD:TOKEN
  mutable std::mutex mutex_;
  std::vector<bool> used_;
};

/// A receiver's view of other processes' segments. Threads: one, but for the payloads it makes.
class SharedSegments {
 public:
  /// The frame behind a descriptor, mapped. Errors: invalid_argument (not a descriptor, or of a slot that is
  /// another by now), io_failed (the segment cannot be mapped here).
  [[nodiscard]] Expected<FramePayload> open(std::string_view descriptor);
  /// Handles that become readable when a mapped segment's process has ended.
  [[nodiscard]] std::vector<int> process_handles() const;
  /// Lets go of the segments of processes that have ended.
  void drop_ended();
  [[nodiscard]] std::size_t size() const { return segments_.size(); }

 private:
  class Segment;
  std::map<std::string, std::shared_ptr<Segment>, std::less<>> segments_;  // by PID:FD:TOKEN
};

}  // namespace troupe
