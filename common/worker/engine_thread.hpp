#pragma once
// The thread that owns an engine. Commands go in by a bounded queue, reports come out in batches; actors
// never wait for it.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "common/worker/engine_runner.hpp"

namespace troupe::worker {

struct EngineThreadOptions {
  std::size_t frame_bytes = 256u << 20;  ///< KV frames waiting to be imported; more are refused
  MakeFrameBuffer buffers = {};          ///< as of EngineRunner
};

class EngineThread {
 public:
  /// `report` is called on this thread and must not block.
  EngineThread(std::unique_ptr<engine::Engine> engine, SendFrame send,
               std::function<void(ReportBatch)> report, const EngineThreadOptions& options = {});
  ~EngineThread();
  /// Ends the step at the next layer boundary and the thread; what is posted afterwards is dropped.
  void stop();

  /// Threads: any. false: too many frames wait. Other commands are bounded by what their sender has in
  /// flight.
  bool post(Command command);
  /// A data-plane window has room again. Threads: any.
  void wake();
  [[nodiscard]] std::uint64_t progress() const { return engine_->progress() + finished_commands_.load(); }
  [[nodiscard]] bool busy() const { return busy_.load(); }
  [[nodiscard]] const engine::Engine& engine() const { return *engine_; }

 private:
  void loop();
  bool take(std::deque<Command>& commands, bool stuck);

  std::unique_ptr<engine::Engine> engine_;
  EngineRunner runner_;
  std::function<void(ReportBatch)> report_;
  EngineThreadOptions options_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Command> queue_;
  std::size_t queued_frame_bytes_ = 0;
  bool woken_ = false;
  bool stop_ = false;
  std::atomic<bool> interrupt_{false};  // a cancel waits: end the step at the next layer boundary
  std::atomic<bool> busy_{false};
  std::atomic<std::uint64_t> finished_commands_{0};
  std::thread thread_;
};

}  // namespace troupe::worker
