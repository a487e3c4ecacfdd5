#pragma once
// Executes commands against one engine and says what came of them. No thread: EngineThread drives it, a test
// steps it.
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/worker/commands.hpp"
#include "common/worker/kv_publisher.hpp"

namespace troupe::worker {

/// Threads: one.
class EngineRunner {
 public:
  EngineRunner(engine::Engine& engine, SendFrame send) : engine_(engine), send_(std::move(send)) {}

  void execute(Command command, std::vector<Report>& reports);
  /// One engine step and what follows from it. false: nothing could move (windows full, nothing to do).
  bool step(const std::function<bool()>& interrupted, std::vector<Report>& reports);
  [[nodiscard]] bool has_work() const { return engine_.has_work() || !publishing_.empty(); }

 private:
  struct Publishing {
    std::unique_ptr<KvPublisher> publisher;  // the engine's callback points to it
    bool prefilled = false;
    std::uint32_t cached_tokens = 0;
  };
  struct Importing {
    std::vector<bool> frames;
    std::uint32_t count = 0;
    std::uint32_t first_page = 0, end_page = 0;
  };
  void run(Submit& command, std::vector<Report>& reports);
  void run(ReserveImport& command, std::vector<Report>& reports);
  void run(ImportFrame& command, std::vector<Report>& reports);
  void run(CommitImport& command, std::vector<Report>& reports);
  void run(Prefill& command, std::vector<Report>& reports);
  void run(CancelRequest& command, std::vector<Report>& reports);
  void run(FailPrefill& command, std::vector<Report>& reports);
  void run(ListBlocks& command, std::vector<Report>& reports);
  Expected<void> import_frame(const ImportFrame& command, Importing& importing);
  bool settle_publishing(std::vector<Report>& reports);
  void end_prefill(const RequestId& engine_id, std::optional<Error> error, std::vector<Report>& reports);

  engine::Engine& engine_;
  SendFrame send_;
  std::map<RequestId, Publishing> publishing_;
  std::map<RequestId, Importing> importing_;
};

}  // namespace troupe::worker
