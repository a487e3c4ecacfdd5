#pragma once
// Runs batches: reads their inputs, orders lines so that those that share a prefix run together [Zheng et al.
// 2024, BatchLLM, arXiv:2412.03594], keeps a bounded number in flight, commits results, writes files. What
// it knows beyond the store is made again after a restart: a line without a result runs again.
//
//   scan ─▶ [plan a window ─▶ run lines ─▶ commit results] ... ─▶ write files
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/gateway/batches/batch_metrics.hpp"
#include "services/gateway/batches/batch_store.hpp"
#include "services/gateway/batches/batch_thread.hpp"
#include "services/gateway/batches/input_scan.hpp"
#include "services/gateway/batches/line_host.hpp"
#include "services/gateway/batches/line_schedule.hpp"
#include "services/gateway/batches/line_writer.hpp"
#include "services/gateway/batches/result_files.hpp"

namespace troupe::gateway {

struct RunnerOptions {
  ScheduleOptions schedule;
  ScanLimits scan;
  std::int64_t window_lines = 256;       ///< that are ordered together
  std::size_t window_bytes = 32U << 20;  ///< of their requests
};

/// Lives on the thread: every call is made there. Its store, host and metrics must outlive it, and the thread
/// must have stopped before it goes.
class BatchRunner {
 public:
  BatchRunner(const RunnerOptions& options, BatchStore& store, std::shared_ptr<BatchThread> thread,
              LineHost& host, const BatchMetrics& metrics);
  ~BatchRunner();

  /// Takes up what the store has; from now on it works. Errors: io_failed.
  [[nodiscard]] Expected<void> resume();
  /// A batch that the store has just got.
  void add(Batch batch);
  /// Errors: Batch::cancel's; 500.
  [[nodiscard]] Parsed<Batch> cancel(Batch batch);
  /// Batches of an owner that have not ended.
  [[nodiscard]] std::size_t open(const RequestId& owner) const;
  /// Nothing begins any more; what runs may end.
  void stop_taking() { taking_ = false; }
  /// What runs is given up: it has no result, and runs again another time.
  void abandon();

 private:
  struct Planned;
  struct Active;

  void poke();
  void tick();
  void step();
  void commit();
  [[nodiscard]] bool advance(Active& active, std::int64_t now);
  [[nodiscard]] bool scan(Active& active, std::int64_t now);
  [[nodiscard]] bool plan(Active& active);
  void begin_window(Active& active);
  void end_window(Active& active);
  [[nodiscard]] Parsed<PreparedRun> prepare(Active& active, const InputPlace& place);
  void start(const LineRef& line);
  void answered(const LineRef& line, const RequestId& id, Response response);
  [[nodiscard]] bool finish(Active& active, std::int64_t now);
  void abandon(Active& active);
  [[nodiscard]] Active* find(std::int64_t serial);
  [[nodiscard]] Planned* find(const LineRef& line);
  void show() const;

  const RunnerOptions options_;
  BatchStore& store_;
  const std::shared_ptr<BatchThread> thread_;
  LineHost& host_;
  const BatchMetrics& metrics_;
  LineSchedule schedule_;
  std::map<std::int64_t, std::unique_ptr<Active>> active_;   // by serial
  std::map<std::int64_t, std::vector<LineResult>> results_;  // not committed yet, by serial
  TimePoint wake_{};                                         // when a pause ends that it looks at again then
  bool taking_ = true, poked_ = false;
};

}  // namespace troupe::gateway
