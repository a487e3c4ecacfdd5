#include "services/gateway/tenant_shares.hpp"

namespace troupe::gateway {

Expected<void> TenantShares::enter(const std::string& tenant, std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(tenant);
  const std::size_t mine = at == held_.end() ? 0 : at->second;
  const std::size_t tenants = held_.size() + (mine == 0 ? 1 : 0);
  const bool under_share = (mine + count) * tenants <= limit_ && tenants > 1;
  if (taken_ + count > limit_ + (under_share ? limit_ / 8 : 0))
    return fail(Errc::queue_full,
                std::to_string(taken_) + " answers are in flight, at most " + std::to_string(limit_));
  held_[tenant] += count;
  taken_ += count;
  return {};
}

void TenantShares::leave(const std::string& tenant, std::size_t count) {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(tenant);
  if (at == held_.end()) return;
  taken_ -= count;
  at->second -= count;
  if (at->second == 0) held_.erase(at);
}

void TenantShares::set_limit(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  limit_ = limit;
}

std::size_t TenantShares::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

}  // namespace troupe::gateway
