#pragma once
// Sends a prompt's KV pages while they are computed: layer by layer, bundled to frames of layers x pages
// between 256 KiB and 2 MiB. A full window is passed on to the engine as "again later"; at most one finished
// bundle is held back meanwhile.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/transport/data_plane.hpp"

namespace troupe::worker {

using SendFrame = std::function<SendResult(const std::string& address, const wire::Envelope& header,
                                           const RequestId& request, FramePayload payload)>;
using ExportPage = std::function<void(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to)>;

struct Publication {
  TransferId transfer;
  ModelId model;
  std::string data_address;
  std::string host;  ///< of the receiver (DataPlane::host)
  std::uint32_t layers = 0;
  std::uint32_t layer_page_bytes = 0;
  PageFormat format = {};        ///< said in every frame
  std::uint32_t first_page = 0;  ///< earlier ones are held by the receiver
  std::uint32_t end_page = 0;
  std::uint32_t tokens = 0;  ///< once these are covered the last page goes, whatever else it holds
  std::uint32_t min_frame_bytes = 256 * 1024;
  std::uint32_t max_frame_bytes = 2 * 1024 * 1024;
};

/// Threads: the engine's.
class KvPublisher {
 public:
  /// Pages are exported straight into what `buffers` gives; none: memory of this process.
  KvPublisher(Publication publication, ExportPage export_page, SendFrame send, MakeFrameBuffer buffers = {});

  /// Takes what a layer now covers. false: the window is full, offer the same again.
  [[nodiscard]] bool offer(const engine::PrefillProgress& progress);
  /// Sends what is held back. true: nothing is left.
  [[nodiscard]] bool flush();
  /// Every layer's every page was taken.
  [[nodiscard]] bool complete() const;
  /// The receiver is gone, or pages were skipped: nothing more is sent.
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::uint32_t frames() const { return frames_; }
  [[nodiscard]] const Publication& publication() const { return what_; }

 private:
  struct Bundle {
    std::uint32_t first_layer = 0, layers = 0, first_page = 0, pages = 0;
    std::unique_ptr<FrameBuffer> buffer;
    [[nodiscard]] std::size_t bytes() const { return buffer == nullptr ? 0 : buffer->bytes().size(); }
  };
  void append(const engine::PrefillProgress& progress, std::uint32_t pages);
  void close();
  bool send_ready();

  Publication what_;
  ExportPage export_page_;
  SendFrame send_;
  MakeFrameBuffer buffers_;
  std::vector<std::uint32_t> next_page_;  // per layer
  Bundle open_;
  wire::Envelope ready_header_;
  FramePayload ready_;
  std::uint32_t frames_ = 0;
  bool failed_ = false;
};

}  // namespace troupe::worker
