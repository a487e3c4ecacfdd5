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
  /// `buffers`: where frames are written; none: memory of this process.
  EngineRunner(engine::Engine& engine, SendFrame send, MakeFrameBuffer buffers = {})
      : engine_(engine), send_(std::move(send)), buffers_(std::move(buffers)) {}

  void execute(Command command, std::vector<Report>& reports);
  /// One engine step and what follows from it. false: nothing could move (windows full, nothing to do).
  bool step(const std::function<bool()>& interrupted, std::vector<Report>& reports);
  [[nodiscard]] bool has_work() const { return engine_.has_work() || !publishing_.empty(); }

 private:
  struct Publishing {
    std::unique_ptr<KvPublisher> publisher;  // the engine's callback points to it
    bool prefilled = false;                  // every page was offered
    std::uint32_t cached_tokens = 0;
    std::optional<engine::HeldBlocks> held = {};  // of an export: offered from here, layer by layer
    std::uint32_t next_layer = 0;
    std::shared_ptr<const engine::StageNews> news = {};  // of a traced prompt, once it is computed
  };
  void run(Submit& command, std::vector<Report>& reports);
  void run(ReserveImport& command, std::vector<Report>& reports);
  void run(ImportFrame& command, std::vector<Report>& reports);
  void run(CommitImport& command, std::vector<Report>& reports);
  void run(Prefill& command, std::vector<Report>& reports);
  void run(Export& command, std::vector<Report>& reports);
  void run(CancelRequest& command, std::vector<Report>& reports);
  void run(FailTransfer& command, std::vector<Report>& reports);
  void run(ListBlocks& command, std::vector<Report>& reports);
  void run(Reject& command, std::vector<Report>& reports);
  [[nodiscard]] std::unique_ptr<KvPublisher> make_publisher(const TransferId& transfer,
                                                            const std::string& data_address,
                                                            const std::string& host,
                                                            std::uint32_t skip_tokens, std::uint32_t tokens);
  void take_drawn(std::vector<engine::TokenEvent>& events, std::vector<Report>& reports) const;
  void offer_held(const RequestId& id, Publishing& entry) const;
  bool settle_publishing(std::vector<Report>& reports);
  void end_publishing(const RequestId& engine_id, std::optional<Error> error, std::vector<Report>& reports);

  engine::Engine& engine_;
  SendFrame send_;
  MakeFrameBuffer buffers_;
  std::map<RequestId, Publishing> publishing_;
  std::map<RequestId, PageImport> importing_;
};

}  // namespace troupe::worker
