#pragma once
// One request's stay: what it holds of its key's limits, and the line of the audit log when it is over.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "services/gateway/audit_log.hpp"
#include "services/gateway/doors.hpp"

namespace troupe::gateway {

/// Threads: those that a request passes through, one after the other.
class Visit {
 public:
  Visit(Caller caller, const RequestId& request, TimePoint arrived);
  ~Visit();  ///< a request that was dropped without an answer is over, too
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  [[nodiscard]] const Caller& caller() const { return caller_; }
  /// From here on its end is written down; null: it is not. `route`, `target`: as in AuditEntry.
  void write_to(std::shared_ptr<AuditLog> audit, std::string_view route, std::string_view target = {});
  /// Takes one of the key's requests, until it is over.
  [[nodiscard]] std::optional<LimitRefusal> enter(TimePoint now);
  /// Takes what the prompt has and the longest answer may have; the difference comes back when it is over.
  [[nodiscard]] std::optional<LimitRefusal> take_tokens(std::uint64_t amount, TimePoint now);
  /// What the key has left, for the answer's head.
  [[nodiscard]] std::vector<Header> limit_headers(TimePoint now) const;
  /// What the answer was made with. Before it is over.
  void answered(const std::string& model, std::uint64_t prompt_tokens, std::uint64_t completion_tokens);
  /// Gives back what it holds and is written down; the first call counts. Comes before the last byte of the
  /// answer, so that a client which has it finds its limits as they are now.
  void over(int status);

 private:
  const Caller caller_;
  const TimePoint arrived_;
  std::shared_ptr<AuditLog> audit_;
  AuditEntry entry_;
  std::uint64_t taken_tokens_ = 0;
  bool entered_ = false, over_ = false;
};

}  // namespace troupe::gateway
