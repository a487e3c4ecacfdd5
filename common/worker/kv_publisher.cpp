#include "common/worker/kv_publisher.hpp"

#include <algorithm>

#include "common/transport/frame_pool.hpp"
#include "common/worker/page_import.hpp"

namespace troupe::worker {

KvPublisher::KvPublisher(Publication publication, ExportPage export_page, SendFrame send,
                         MakeFrameBuffer buffers)
    : what_(std::move(publication)),
      export_page_(std::move(export_page)),
      send_(std::move(send)),
      buffers_(std::move(buffers)),
      next_page_(what_.layers, what_.first_page) {
  if (!buffers_)
    buffers_ = [pool = FramePool::create(2)](const std::string&, std::size_t capacity) {
      return pool->buffer(capacity);
    };
}

bool KvPublisher::complete() const {
  return std::all_of(next_page_.begin(), next_page_.end(),
                     [&](std::uint32_t page) { return page >= what_.end_page; });
}

bool KvPublisher::offer(const engine::PrefillProgress& progress) {
  if (failed_ || progress.layer >= what_.layers) return true;
  if (!send_ready()) return false;
  std::uint32_t& next = next_page_[progress.layer];
  // Only pages whose last slot this layer has written: a partial page comes again with the next chunk.
  const std::uint32_t covered = progress.first_page + static_cast<std::uint32_t>(progress.pages.size());
  const bool last = what_.tokens != 0 && progress.tokens >= what_.tokens;
  const std::uint32_t written = last ? what_.end_page : progress.tokens / what_.format.page_tokens;
  const std::uint32_t full = std::min({what_.end_page, written, covered});
  if (next < full && next < progress.first_page) {
    failed_ = true;
    return true;
  }
  const std::uint32_t most = std::max(1u, what_.max_frame_bytes / std::max(1u, what_.layer_page_bytes));
  while (next < full) {
    const std::uint32_t pages = std::min(full - next, most);
    const std::size_t more = std::size_t{pages} * what_.layer_page_bytes;
    const bool joins = open_.layers != 0 && open_.first_layer + open_.layers == progress.layer &&
                       open_.first_page == next && open_.pages == pages &&
                       open_.bytes() + more <= what_.max_frame_bytes;
    if (open_.layers != 0 && !joins) {
      close();
      if (!send_ready()) return false;
    }
    append(progress, pages);
    if (open_.bytes() >= what_.min_frame_bytes || progress.layer + 1 == what_.layers) {
      close();
      if (!send_ready() && next < full) return false;
    }
    if (failed_) return true;
  }
  return true;
}

void KvPublisher::append(const engine::PrefillProgress& progress, std::uint32_t pages) {
  std::uint32_t& next = next_page_[progress.layer];
  if (open_.layers == 0) {
    open_.first_layer = progress.layer;
    open_.first_page = next;
    open_.pages = pages;
    open_.buffer = buffers_(what_.host, std::max<std::size_t>(what_.max_frame_bytes, what_.layer_page_bytes));
  }
  ++open_.layers;
  const std::size_t size = what_.layer_page_bytes;
  const auto room = std::as_writable_bytes(open_.buffer->append(pages * size));
  for (std::uint32_t i = 0; i < pages; ++i)
    export_page_(progress.layer, progress.pages[next - progress.first_page + i],
                 room.subspan(i * size, size));
  next += pages;
}

/// The open bundle becomes a frame; send_ready() must have returned true before.
void KvPublisher::close() {
  wire::KvFrame frame;
  frame.request = what_.transfer.request;
  frame.epoch = what_.transfer.epoch;
  frame.lease = what_.transfer.lease;
  frame.model = what_.model;
  frame.frame = frames_;
  frame.first_layer = open_.first_layer;
  frame.layers = open_.layers;
  for (std::uint32_t i = 0; i < open_.pages; ++i) frame.pages.push_back(open_.first_page + i);
  frame.layer_page_bytes = what_.layer_page_bytes;
  frame.shape = to_wire(what_.format);
  frame.checksum = frame_checksum(open_.buffer->bytes());
  ready_header_ = wire::pack(frame, what_.transfer.epoch);
  ready_ = open_.buffer->finish();
  open_ = {};
  ++frames_;
}

bool KvPublisher::send_ready() {
  if (!ready_ || failed_) return true;
  switch (send_(what_.data_address, ready_header_, what_.transfer.request, ready_)) {
    case SendResult::sent:
      ready_.reset();
      return true;
    case SendResult::window_full:
      return false;
    case SendResult::closed:
      break;
  }
  failed_ = true;
  ready_.reset();
  return true;
}

bool KvPublisher::flush() {
  if (!send_ready()) return false;
  if (failed_ || open_.layers == 0) return true;
  close();
  return send_ready();
}

}  // namespace troupe::worker
