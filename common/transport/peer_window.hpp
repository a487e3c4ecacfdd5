#pragma once
// What a sender has under way to one peer: frames that wait for the socket, and frames that left and are kept
// until they are acknowledged, to be sent again when they are lost or come damaged. No socket, thread or
// clock.
//
//   offer -> queued -> next -> sent -> acknowledged: gone
//              ^                 | damaged, or silent for `resend_after` (then twice as long, ...),
//              `max_sends` times in all
//              +-----------------+
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/base/clock.hpp"
#include "common/transport/data_plane.hpp"
#include "common/transport/frame_header.hpp"

namespace troupe {

struct OutgoingFrame {
  FrameIdentity identity;
  wire::Envelope header;
  FramePayload payload;  ///< none: dropped, its acknowledgement is still to come
  bool whole = false;    ///< not as a place in shared memory
  std::uint32_t sends = 0;
  TimePoint resend_at{};
};

struct PeerWindowOptions {
  std::uint32_t window = 4;  ///< frames, queued and sent
  Duration ack_timeout = std::chrono::seconds(5);
  Duration resend_after = std::chrono::seconds(1);
  std::uint32_t max_sends = 3;
};

/// Threads: one, or a lock.
class PeerWindow {
 public:
  explicit PeerWindow(const PeerWindowOptions& options) : options_(options) {}

  /// false: the window is full.
  [[nodiscard]] bool offer(OutgoingFrame frame, TimePoint now);
  /// The next frame for the socket, which counts as sent. None: nothing waits.
  [[nodiscard]] std::optional<OutgoingFrame> next(TimePoint now);
  /// The socket did not take the frame that next() gave last.
  void put_back();

  enum class Answer : std::uint8_t { unknown, taken, refused, again, held };
  /// `held`: it came and is kept waiting; it is asked after, without end. `refused` also when a damaged frame
  /// was sent often enough.
  [[nodiscard]] Answer acknowledge(const wire::FrameAck& ack, TimePoint now);
  /// Queues what is due to be sent again. Returns how many.
  std::uint32_t resend_due(TimePoint now);

  /// Frames of the request are not sent any more.
  void drop(const RequestId& request);
  /// Nothing was acknowledged in time.
  [[nodiscard]] bool lost(TimePoint now) const;
  /// When lost() or resend_due() may change; none: nothing is under way.
  [[nodiscard]] std::optional<TimePoint> wake_at() const;
  /// Of all frames under way, each once.
  [[nodiscard]] std::vector<TransferId> transfers() const;
  [[nodiscard]] bool has_queued() const { return !queue_.empty(); }
  [[nodiscard]] std::uint32_t outstanding() const {
    return static_cast<std::uint32_t>(queue_.size() + sent_.size());
  }

 private:
  PeerWindowOptions options_;
  std::deque<OutgoingFrame> queue_;
  std::vector<OutgoingFrame> sent_;
  TimePoint last_sign_{};
};

}  // namespace troupe
