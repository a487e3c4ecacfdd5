#pragma once
// A receiver's side of the data plane, without its socket: frames are checked, repeats recognised, payloads
// in shared memory mapped, and each frame has its answer: at once, or, when it is read where it lies, once
// its last reader has let go.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/transport/data_plane.hpp"
#include "common/transport/recent_frames.hpp"
#include "common/transport/shared_ring.hpp"

namespace troupe {

/// Threads: one calls, any reads add_to(); payloads it made are let go on any.
class FrameIntake {
 public:
  using Received = std::function<bool(const wire::Envelope& header, FramePayload payload)>;
  /// A credit to give back: to whom, and the answer.
  using Credit = std::pair<std::string, wire::FrameAck>;
  /// `wake` is called, on any thread, when take_credits() has something.
  FrameIntake(Received received, std::function<void()> wake);
  ~FrameIntake();

  /// A frame with its payload. None: it was not even a header, nobody can be answered.
  [[nodiscard]] std::optional<wire::FrameAck> take_whole(std::span<const std::uint8_t> head,
                                                         std::span<const std::uint8_t> payload);
  /// A frame whose payload lies in its sender's memory. None also when the answer comes later, to `sender`.
  [[nodiscard]] std::optional<wire::FrameAck> take_shared(const std::string& sender,
                                                          std::span<const std::uint8_t> head,
                                                          std::string_view descriptor);
  [[nodiscard]] std::vector<Credit> take_credits();
  /// Handles that become readable when drop_ended() has something to do.
  [[nodiscard]] std::vector<int> process_handles() const { return segments_.process_handles(); }
  /// Lets go of the memory of processes that have ended.
  void drop_ended();
  /// `wake` is not called any more; payloads may live on.
  void close();
  void add_to(DataPlaneStats& stats) const;

 private:
  struct Credits;
  struct Reading;
  void count(std::uint64_t DataPlaneStats::*counter, std::uint64_t by = 1);
  std::nullopt_t refuse(const Error& why);
  void count_segments();

  const Received received_;
  RecentFrames recent_;
  std::set<BlockKey> in_hand_;  // frames that are being read in place
  SharedSegments segments_;
  const std::shared_ptr<Credits> credits_;
  mutable std::mutex mutex_;
  DataPlaneStats counted_;
};

}  // namespace troupe
