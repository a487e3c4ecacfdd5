#include "common/engine/schedule/tenant_counters.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::engine {

Expected<TenantWeights> parse_tenant_weights(std::span<const std::string> entries) {
  TenantWeights weights;
  for (const std::string& entry : entries) {
    const std::size_t at = entry.rfind('=');
    const std::string number = at == std::string::npos ? "" : entry.substr(at + 1);
    double weight = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), weight);
    if (at == 0 || at == std::string::npos || parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() ||
        !(weight >= 0.001 && weight <= 1000))
      return fail(Errc::config_invalid, "\"" + entry + "\" is not name=weight with a weight in 0.001..1000");
    weights[entry.substr(0, at)] = weight;
  }
  return weights;
}

double TenantCounters::counter(std::string_view tenant) const {
  const auto found = counters_.find(tenant);
  return found == counters_.end() ? forgotten_ : found->second;
}

void TenantCounters::arrived(std::string_view tenant, std::span<const std::string_view> waiting) {
  double floor = waiting.empty() ? last_ : counter(waiting.front());
  for (const std::string_view other : waiting) {
    if (other == tenant) return;
    floor = std::min(floor, counter(other));
  }
  set(tenant, std::max(counter(tenant), floor));
}

void TenantCounters::charge(std::string_view tenant, double cost) {
  const auto weight = weights_.find(tenant);
  last_ = counter(tenant) + cost / (weight == weights_.end() ? 1.0 : weight->second);
  set(tenant, last_);
}

void TenantCounters::set(std::string_view tenant, double value) {
  const auto found = counters_.find(tenant);
  if (found != counters_.end()) {
    found->second = value;
    return;
  }
  if (counters_.size() >= most_tenants_ && !counters_.empty()) {
    const auto least = std::min_element(counters_.begin(), counters_.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    forgotten_ = std::max(forgotten_, least->second);
    counters_.erase(least);
  }
  counters_.emplace(tenant, value);
}

}  // namespace troupe::engine
