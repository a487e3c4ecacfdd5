#include "services/gateway/batches/line_writer.hpp"

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

LineWriter::~LineWriter() {
  if (done_) respond(to_response(to_api(Error{Errc::internal, "the request was dropped without an answer"})));
}

void LineWriter::abandon() {
  done_ = nullptr;
  gone_ = true;
  if (const auto callback = std::exchange(gone_callback_, nullptr)) callback();
}

void LineWriter::respond(Response response) {
  if (!done_) return;
  // Not from within the run that answers: what follows may begin others.
  thread_->post([done = std::exchange(done_, nullptr), answer = std::move(response)]() mutable {
    done(std::move(answer));
  });
  gone_callback_ = nullptr;
}

void LineWriter::on_gone(std::function<void()> callback) {
  if (!gone_) {
    gone_callback_ = std::move(callback);
    return;
  }
  callback();
}

}  // namespace troupe::gateway
