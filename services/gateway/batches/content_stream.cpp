#include "services/gateway/batches/content_stream.hpp"

#include <chrono>

#include "common/base/log.hpp"

namespace troupe::gateway {
namespace {

constexpr std::size_t kPieceBytes = 256U << 10;
constexpr Duration kUnread = std::chrono::milliseconds(10);  // between looks at a client that is behind

}  // namespace

void ContentStream::start() {
  call_.writer->start_stream(200, "application/octet-stream");
  step();
}

void ContentStream::step() {
  if (call_.writer->gone()) return call_.over(http_status(Errc::cancelled));
  const auto again = [self = shared_from_this()] { self->step(); };
  if (call_.writer->waiting() >= kPieceBytes)
    return thread_->post_at(std::chrono::steady_clock::now() + kUnread, again);
  const auto piece = file_.read(at_, kPieceBytes);
  if (!piece) {  // the head is out: without an end the client sees that it is not whole
    log::warn("a file cannot be sent", {{"error", to_string(piece.error())}});
    return call_.over(0);
  }
  at_ += static_cast<std::int64_t>(piece->size());
  if (piece->empty()) {
    call_.over(200);
    return call_.writer->finish();
  }
  if (!call_.writer->write(*piece)) return call_.over(http_status(Errc::cancelled));
  thread_->post(again);
}

}  // namespace troupe::gateway
