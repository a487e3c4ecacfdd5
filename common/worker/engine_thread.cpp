#include "common/worker/engine_thread.hpp"

#include <chrono>

namespace troupe::worker {
namespace {
// How long a step that could not move waits for a window before it asks again by itself.
constexpr std::chrono::milliseconds kStuckPause{20};
}  // namespace

EngineThread::EngineThread(std::unique_ptr<engine::Engine> engine, SendFrame send,
                           std::function<void(ReportBatch)> report, const EngineThreadOptions& options)
    : engine_(std::move(engine)),
      runner_(*engine_, std::move(send), options.buffers),
      report_(std::move(report)),
      options_(options),
      thread_([this] { loop(); }) {
  engine_->on_ready([this] { wake(); });
}

EngineThread::~EngineThread() {
  stop();
}

void EngineThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  interrupt_ = true;
  wanted_.notify_one();
  thread_.join();
  engine_->on_ready({});
}

bool EngineThread::post(Command command) {
  std::visit(  // the step that runs is the first thing that a request waits for
      [](auto& each) {
        if constexpr (requires { each.request.arrived; })
          each.request.arrived = std::chrono::steady_clock::now();
      },
      command);
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return false;
    if (const auto* frame = std::get_if<ImportFrame>(&command)) {
      if (queued_frame_bytes_ + frame->payload->size() > options_.frame_bytes) return false;
      queued_frame_bytes_ += frame->payload->size();
    }
    if (std::holds_alternative<CancelRequest>(command)) interrupt_ = true;
    queue_.push_back(std::move(command));
    busy_ = true;
  }
  wanted_.notify_one();
  return true;
}

void EngineThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wanted_.notify_one();
}

/// Waits for something to do. false: the thread ends.
bool EngineThread::take(std::deque<Command>& commands, bool stuck) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return stop_ || woken_ || !queue_.empty(); };
  if (!runner_.has_work()) {
    if (!ready()) busy_ = false;
    wanted_.wait(lock, ready);
  } else if (stuck) {
    wanted_.wait_for(lock, kStuckPause, ready);
  }
  woken_ = false;
  interrupt_ = stop_;
  queued_frame_bytes_ = 0;
  commands = std::exchange(queue_, {});
  return !stop_;
}

void EngineThread::loop() {
  const auto hold = engine_->hold_thread();
  std::deque<Command> commands;
  bool stuck = false;
  Duration busy{};
  while (take(commands, stuck)) {
    const TimePoint begun = std::chrono::steady_clock::now();
    ReportBatch batch;
    for (Command& command : commands) {
      runner_.execute(std::move(command), batch.reports);
      ++finished_commands_;
    }
    stuck = runner_.has_work() && !runner_.step([this] { return interrupt_.load(); }, batch.reports);
    if (stuck && batch.reports.empty() && commands.empty()) continue;
    batch.stats = engine_->stats();
    batch.stats.busy = busy;
    report_(std::move(batch));
    busy += std::chrono::steady_clock::now() - begun;
  }
}

}  // namespace troupe::worker
