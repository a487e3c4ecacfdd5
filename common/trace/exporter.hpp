#pragma once
// Sends spans to a collector by OTLP/HTTP as JSON, from a thread of its own. A collector that is slow or gone
// costs spans, never a request: what does not fit the queue is dropped and counted.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.hpp"
#include "common/http/message.hpp"
#include "common/trace/span.hpp"

namespace troupe::trace {

struct ExporterOptions {
  std::string endpoint;  ///< "http://host:port/v1/traces"
  Origin origin;         ///< of spans that name none
  std::size_t queue = 2048;
  std::size_t batch = 256;                      ///< spans of one request to the collector
  Duration linger = std::chrono::seconds(1);    ///< a part of a batch waits this long for more
  Duration patience = std::chrono::seconds(5);  ///< for the collector's answer
};

struct ExporterCounters {
  std::uint64_t exported = 0;  ///< spans a collector took
  std::uint64_t dropped = 0;   ///< spans that did not fit the queue
  std::uint64_t failed = 0;    ///< spans of batches a collector did not take
};

class Exporter {
 public:
  /// Errors: config_invalid for an endpoint that is no http URL.
  [[nodiscard]] static Expected<std::unique_ptr<Exporter>> create(ExporterOptions options);
  /// Sends what is queued; gives up at the first batch that fails.
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  /// Never blocks for the collector. Threads: any.
  void offer(const Span& span);
  [[nodiscard]] ExporterCounters counters() const;

 private:
  Exporter(ExporterOptions options, Url url);
  void loop();
  [[nodiscard]] bool send(const std::vector<Span>& spans) const;

  const ExporterOptions options_;
  const Url url_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Span> queue_;
  ExporterCounters counters_;
  bool stopping_ = false;
  std::thread thread_;  ///< last: it uses the rest
};

}  // namespace troupe::trace
