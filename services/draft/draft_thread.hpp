#pragma once
// The thread that owns a draft host. Orders go in by a bounded queue, answers come out in batches; what lies
// there when a pass ends is in the next one.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "common/draft/draft_host.hpp"

namespace troupe::draft {

struct ForgetSession {
  SessionKey session;
};
struct ForgetClient {
  NodeId client;
};
using HostCommand = std::variant<HostOrder, ForgetSession, ForgetClient>;

struct HostReport {
  std::vector<HostAnswer> answers;
  HostStats stats;
};

/// Threads: any, but for create and the destructor.
class DraftThread {
 public:
  /// `report` is called on this thread and must not block. At most `most_waiting` commands wait.
  DraftThread(std::unique_ptr<DraftHost> host, std::size_t most_waiting,
              std::function<void(HostReport)> report);
  ~DraftThread();
  DraftThread(const DraftThread&) = delete;
  DraftThread& operator=(const DraftThread&) = delete;

  /// Ends with the pass under way; what is posted afterwards is dropped.
  void stop();
  /// false: too much waits.
  [[nodiscard]] bool post(HostCommand command);

 private:
  void loop();
  bool take(std::deque<HostCommand>& commands);
  void execute(HostCommand& command);

  const std::unique_ptr<DraftHost> host_;
  const std::size_t most_waiting_;
  const std::function<void(HostReport)> report_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<HostCommand> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace troupe::draft
