#pragma once
// /v1/files and /v1/batches, as OpenAI has them, on a store of this gateway's own.
//
//   connection ─▶ BatchService ─▶ BatchThread: store, uploads, BatchRunner ─▶ LineHost ─▶ as any request
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "services/gateway/batches/batch_runner.hpp"
#include "services/gateway/batches/file_upload.hpp"
#include "services/gateway/call.hpp"
#include "services/gateway/http_server.hpp"

namespace troupe::gateway {

struct BatchServiceOptions {
  /// Where everything is kept; empty: nowhere, and every path answers 501.
  std::filesystem::path folder;
  /// Somebody named the folder: without it the gateway does not start. Otherwise it is made when the first
  /// file comes, and as long as it cannot be had the paths say why.
  bool required = false;
  RunnerOptions runner;
  FileLimits files;
  std::size_t open_batches = 100;  ///< of one owner; 429 beyond
};

class BatchService {
 public:
  /// Takes up the batches that the folder has. `host` and `registry` must outlive it.
  /// Errors: BatchStore::open's, where the folder is required.
  [[nodiscard]] static Expected<std::unique_ptr<BatchService>> start(BatchServiceOptions options,
                                                                     LineHost& host,
                                                                     metrics::Registry& registry);
  ~BatchService();

  /// Answers a request to one of the routes of /v1/files and /v1/batches. Threads: any.
  void serve(Call call);
  /// Where the body of an upload goes, and how long it may be; none where the request is no upload.
  /// Threads: any.
  [[nodiscard]] std::optional<BodyLimit> upload_limit(const Request& head, const Caller& caller);

  /// No line begins any more. Threads: any.
  void stop_taking();
  /// Gives up the lines that run and ends the thread. Before the dispatcher goes.
  void stop();

 private:
  BatchService(BatchServiceOptions options, LineHost& host, metrics::Registry& registry);
  [[nodiscard]] Expected<void> open();
  [[nodiscard]] Parsed<BatchStore*> store();
  void take_up();
  void sweep();

  void answer(Call& call);
  void answer_files(Call& call, BatchStore& store, std::string_view id, std::string_view part);
  void answer_batches(Call& call, BatchStore& store, std::string_view id, std::string_view part);
  void create_file(Call& call);
  void list_files(Call& call, BatchStore& store);
  void remove_file(Call& call, BatchStore& store, const FileRecord& file);
  void send_content(Call& call, BatchStore& store, const FileRecord& file);
  void create_batch(Call& call, BatchStore& store);
  void list_batches(Call& call, BatchStore& store);

  const BatchServiceOptions options_;
  LineHost& host_;
  const BatchMetrics metrics_;
  const std::shared_ptr<BatchThread> thread_ = std::make_shared<BatchThread>();
  const std::shared_ptr<std::atomic<std::size_t>> uploads_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::optional<BatchStore> store_;      // the thread's, as the next
  std::unique_ptr<BatchRunner> runner_;  // null: the store is not open
  bool taking_ = true;                   // the thread's
  bool stopped_ = false;
};

}  // namespace troupe::gateway
