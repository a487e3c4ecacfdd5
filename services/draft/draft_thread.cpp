#include "services/draft/draft_thread.hpp"

#include <chrono>
#include <utility>

namespace troupe::draft {
namespace {
/// How long an idle host goes without a look at its leases.
constexpr std::chrono::seconds kIdleLook{1};
}  // namespace

DraftThread::DraftThread(std::unique_ptr<DraftHost> host, std::size_t most_waiting,
                         std::function<void(HostReport)> report)
    : host_(std::move(host)),
      most_waiting_(most_waiting),
      report_(std::move(report)),
      thread_([this] { loop(); }) {}

DraftThread::~DraftThread() {
  stop();
}

void DraftThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

bool DraftThread::post(HostCommand command) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || queue_.size() >= most_waiting_) return false;
    queue_.push_back(std::move(command));
  }
  wanted_.notify_one();
  return true;
}

/// false: the thread ends.
bool DraftThread::take(std::deque<HostCommand>& commands) {
  std::unique_lock lock(mutex_);
  if (!host_->has_work()) wanted_.wait_for(lock, kIdleLook, [this] { return stop_ || !queue_.empty(); });
  commands = std::exchange(queue_, {});
  return !stop_;
}

void DraftThread::execute(HostCommand& command) {
  if (auto* order = std::get_if<HostOrder>(&command))
    host_->order(std::move(*order), std::chrono::steady_clock::now());
  else if (const auto* session = std::get_if<ForgetSession>(&command))
    host_->forget(session->session);
  else
    host_->forget_client(std::get<ForgetClient>(command).client);
}

void DraftThread::loop() {
  const auto hold = host_->hold_thread();
  std::deque<HostCommand> commands;
  while (take(commands)) {
    for (HostCommand& command : commands) execute(command);
    host_->step(std::chrono::steady_clock::now());
    HostReport report{host_->take_answers(), host_->stats()};
    report_(std::move(report));
  }
}

}  // namespace troupe::draft
