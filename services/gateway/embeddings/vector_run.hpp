#pragma once
// Texts on their way to vectors: a job per text at the dispatcher, a window of them at a time, then the
// answer. Vectors arrive on a thread of the dispatcher and are only queued there; all else happens on the
// connection's thread.
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "services/gateway/call.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/embeddings/prepare_vectors.hpp"

namespace troupe::gateway {

class VectorRun : public std::enable_shared_from_this<VectorRun> {
 public:
  /// Of one request at the dispatcher: enough to fill a worker's steps, few enough to leave room for others.
  static constexpr std::size_t kWindow = 16;

  VectorRun(Call call, PreparedVectors prepared, Dispatcher& dispatcher, TimePoint deadline);
  /// Starts the first jobs. Threads: the connection's.
  void start();

 private:
  struct Event {
    std::size_t job = 0;
    std::vector<float> vector;
    std::uint64_t cached_tokens = 0;
    std::optional<Error> error;
  };
  class Sink;

  void fill();
  [[nodiscard]] Expected<void> dispatch(std::size_t job);
  void deliver(Event event);
  void drain();
  void handle(Event event);
  void finish();
  void fail_with(const ApiError& error);
  void client_gone();
  void end(int status);

  Call call_;
  PreparedVectors prepared_;
  Dispatcher& dispatcher_;
  const TimePoint deadline_;
  const std::uint64_t tokens_;
  std::vector<RequestId> ids_;  ///< of the jobs
  std::vector<bool> open_;      ///< at the dispatcher
  std::size_t next_ = 0, running_ = 0, answered_ = 0;
  std::uint64_t cached_tokens_ = 0;
  bool over_ = false;

  std::mutex mutex_;
  std::vector<Event> queue_;
  bool drain_posted_ = false;
};

}  // namespace troupe::gateway
