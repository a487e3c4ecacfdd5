#pragma once
// What a batch asks of the edge: its lines go the way of HTTP requests, without HTTP.
#include <cstdint>
#include <memory>
#include <string_view>

#include "services/gateway/batches/batch.hpp"
#include "services/gateway/doors.hpp"
#include "services/gateway/generate_run.hpp"

namespace troupe::gateway {

/// Below every request that somebody waits for, whose lowest is -1,000,000.
inline constexpr std::int32_t kBatchPriority = -1'000'001;

/// Threads: any.
class LineHost {
 public:
  virtual ~LineHost() = default;
  /// In whose name the lines of a batch run. Errors: 401 where its key is none any more.
  [[nodiscard]] virtual Parsed<Caller> caller_of(const Batch& batch) const = 0;
  /// Parses and prepares as for a request with this body. Errors: what the request would be answered.
  [[nodiscard]] virtual Parsed<PreparedRun> prepare_line(std::string_view endpoint, std::string_view body,
                                                         const Caller& caller) const = 0;
  /// Runs it. The limits of its key do not stop it; metrics and audit log count it.
  virtual void run_line(const RequestId& id, std::string_view endpoint, Caller caller, PreparedRun run,
                        std::shared_ptr<ResponseWriter> writer) = 0;
};

}  // namespace troupe::gateway
