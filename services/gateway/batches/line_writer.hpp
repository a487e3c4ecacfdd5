#pragma once
// What stands for a connection where a batch's line is the request: its answer becomes the line's result.
#include <functional>
#include <memory>
#include <utility>

#include "services/gateway/batches/batch_thread.hpp"
#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

/// Threads: the BatchThread's, but post() and the end of its life.
class LineWriter final : public ResponseWriter {
 public:
  /// `done` runs once, on the thread, unless the line was abandoned.
  LineWriter(std::shared_ptr<BatchThread> thread, std::function<void(Response)> done)
      : thread_(std::move(thread)), done_(std::move(done)) {}
  ~LineWriter() override;

  /// Nobody waits for the answer any more: what computes it is told that its client has left.
  void abandon();

  void answer_for(const RequestId&) override {}
  void answer_with(std::vector<Header>) override {}
  void respond(Response response) override;
  /// A line has no stream: what tries is a fault, and the line fails when the writer goes.
  void start_stream(int, std::string_view) override {}
  bool write(std::string_view) override { return false; }
  void finish() override {}
  [[nodiscard]] bool gone() const override { return gone_; }
  [[nodiscard]] std::size_t waiting() const override { return 0; }
  void on_gone(std::function<void()> callback) override;
  void post(std::function<void()> task) override { thread_->post(std::move(task)); }

 private:
  const std::shared_ptr<BatchThread> thread_;
  std::function<void(Response)> done_;
  std::function<void()> gone_callback_;
  bool gone_ = false;
};

}  // namespace troupe::gateway
