#pragma once
// Places for answers in flight, shared between tenants: one alone may have them all; when they are all taken,
// a tenant that has less than its equal share still finds one, out of an eighth that is kept over the limit
// for that.
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "common/base/error.hpp"

namespace troupe::gateway {

/// Never more than nine eighths of the limit. Threads: any. Cost: O(log tenants in flight).
class TenantShares {
 public:
  explicit TenantShares(std::size_t limit) : limit_(limit) {}

  /// `count` places, all or none. Errors: queue_full.
  [[nodiscard]] Expected<void> enter(const std::string& tenant, std::size_t count);
  /// Gives back what enter() gave.
  void leave(const std::string& tenant, std::size_t count);
  [[nodiscard]] std::size_t taken() const;
  /// From the next enter() on; nobody loses a place.
  void set_limit(std::size_t limit);

 private:
  std::size_t limit_;
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> held_;  // tenants with places
  std::size_t taken_ = 0;
};

}  // namespace troupe::gateway
