#pragma once
// The data plane: bulk frames (KV pages, long prompts) from one process to another, with acknowledgements as credit.
//
//   sender                                   receiver
//   send(address, header, payload) --------> handler(header, payload, sender) -> accept/refuse
//        window of `window` frames <-------- FrameAck once the handler has taken it
//
// A frame that comes damaged, or is not acknowledged in time, is sent again, twice at most; one that comes twice is handed over
// once. Order is not kept then.
// A frame that finds the window full is refused (send() == window_full): back-pressure is the caller's to handle, and the
// writable callback says when to try again. Frames of a cancelled request that have not left yet are dropped.
// Between processes of one host the payload stays where its sender wrote it (shared_ring.hpp) and the frame carries the place;
// the credit returns when the receiver has let go of it. Where it cannot be mapped it is sent whole, without a word.
//
// Two implementations behind one address scheme: "tcp://host:port" goes through ZeroMQ, "local://name" hands the same
// payload to a plane of this process without a copy.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.hpp"
#include "common/security/key_folder.hpp"
#include "common/transport/frame_bytes.hpp"
#include "common/wire/messages.hpp"

namespace troupe {

/// What frames belong to: several transfers of one placement differ by their lease.
struct TransferId {
  RequestId request;
  Epoch epoch;
  LeaseId lease;
  auto operator<=>(const TransferId&) const = default;
};

enum class SendResult : std::uint8_t { sent, window_full, closed };

struct DataPlaneOptions {
  std::string listen;                          ///< "tcp://127.0.0.1:0" or "local://name"
  std::uint32_t window = 4;                    ///< frames in flight per peer
  std::uint32_t max_frame_bytes = 8u << 20;    ///< larger frames are refused on receipt
  std::chrono::milliseconds ack_timeout{5000}; ///< a peer that acknowledges nothing for this long is lost
  std::uint32_t shared_slots = 16;             ///< of 2 MiB, written by this sender, read by others of its host; 0: none
  std::chrono::milliseconds resend_after{1000}; ///< a frame without an answer is sent again, then after twice as long
  std::shared_ptr<const security::ClusterKeys> keys = nullptr; ///< of tcp://: others are refused; null: no keys, everybody speaks
};

struct DataPlaneStats {
  std::uint64_t frames_sent = 0, bytes_sent = 0, frames_received = 0, bytes_received = 0;
  std::uint64_t acks = 0, refused = 0, malformed = 0, lost_peers = 0;
  std::uint64_t resent = 0, repeated = 0;  ///< frames sent again; frames that came again
  std::uint64_t shared_sent = 0, shared_received = 0;  ///< frames, of all, whose payload stayed in place
  std::uint32_t segments = 0;              ///< of others, mapped now
  std::uint32_t in_flight = 0, peers = 0;
  std::uint64_t handshakes_refused = 0;    ///< of peers without the keys
};

/// What a plane tells its owner. Called on the plane's own thread (or the sender's for local://); must not block.
struct DataPlaneHandlers {
  /// Takes a frame. false: nobody waits for it; the sender stops sending this request. The checksum was already verified.
  std::function<bool(const wire::Envelope& header, FramePayload payload)> received;
  /// An acknowledgement came: the window towards `address` has room again.
  std::function<void(const std::string& address)> writable;
  /// The receiver refused a frame.
  std::function<void(const TransferId& transfer)> refused;
  /// Nothing was acknowledged in time, or the peer is gone: frames in flight towards it are lost.
  std::function<void(const std::string& address, const std::vector<TransferId>& transfers)> lost;
};

class DataPlane {
 public:
  /// Errors: address_in_use, invalid_argument (unknown scheme), io_failed.
  [[nodiscard]] static Expected<std::unique_ptr<DataPlane>> create(const DataPlaneOptions& options, DataPlaneHandlers handlers);
  virtual ~DataPlane() = default;
  /// What peers send to: the bound address with its real port.
  [[nodiscard]] virtual const std::string& address() const = 0;
  /// `header` is a packed KvFrame or PromptFrame whose checksum is of `payload`. Never blocks. Threads: any.
  [[nodiscard]] virtual SendResult send(const std::string& address, const wire::Envelope& header, const RequestId& request,
                                        FramePayload payload) = 0;
  /// Drops frames of the request that have not been handed to the socket. Threads: any.
  virtual void drop(const RequestId& request) = 0;
  /// What others write to to have their frames shared; empty: this plane shares no memory.
  [[nodiscard]] virtual const std::string& host() const = 0;
  /// Room to write a frame for a peer of this host(), shared with it where that works. Never null. Threads: any.
  [[nodiscard]] virtual std::unique_ptr<FrameBuffer> buffer(const std::string& host, std::size_t capacity) = 0;
  [[nodiscard]] virtual DataPlaneStats stats() const = 0;
};

/// XXH3-64 of a payload, as KvFrame::checksum and PromptFrame::checksum carry it.
[[nodiscard]] std::uint64_t frame_checksum(std::span<const std::uint8_t> payload);

}  // namespace troupe
