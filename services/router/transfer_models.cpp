#include "services/router/transfer_models.hpp"

#include <algorithm>

namespace troupe::router {
namespace {

constexpr std::chrono::minutes kTrusted{1};
constexpr double kScale = 1 << 20;  // bytes
constexpr double kLongestUs = 6e7;

void bound(std::array<double, 2>& theta) {
  constexpr double kFastest = 1e-6 * kScale, kSlowest = 100 * kScale;  // 1 TB/s, 10 kB/s
  theta[0] = std::clamp(theta[0], 0.0, kLongestUs);
  theta[1] = std::clamp(theta[1], kFastest, kSlowest);
}

OnlineFit<2> fit_of(const TransferCosts& prior) {
  return OnlineFit<2>({prior.base, prior.byte * kScale}, bound);
}

TransferCosts costs_of(const OnlineFit<2>& fit) {
  return {fit.coefficients()[0], fit.coefficients()[1] / kScale};
}

}  // namespace

const TransferCosts& SourceCosts::to(const NodeId& target) const {
  const auto at = std::ranges::lower_bound(links, target, {}, [](const auto& link) { return link.first; });
  return at != links.end() && at->first == target ? at->second : any;
}

TransferCosts TransferModels::of_source(const NodeId& source, TimePoint now) const {
  const auto own = sources_.find(source);
  if (own != sources_.end() && now - own->second.taught < kTrusted) return costs_of(own->second.fit);
  return shared_.empty() ? prior_ : costs_of(shared_.front());
}

SourceCosts TransferModels::costs(const NodeId& source, TimePoint now) const {
  SourceCosts out{of_source(source, now)};
  for (auto at = links_.lower_bound({source, {}}); at != links_.end() && at->first.first == source; ++at)
    if (now - at->second.taught < kTrusted)
      out.links.emplace_back(at->first.second, costs_of(at->second.fit));
  return out;
}

void TransferModels::learn(const NodeId& source, const NodeId& target, double bytes, double took_us,
                           TimePoint now) {
  const TransferCosts before = of_source(source, now);
  const std::array<double, 2> what = {1, bytes / kScale};
  drop_old_links(now);
  if (links_.size() < kMostLinks || links_.contains({source, target})) {
    Known& link = links_.try_emplace({source, target}, Known{fit_of(before), now}).first->second;
    link.fit.learn(what, took_us);
    link.taught = now;
  }
  Known& own = sources_.try_emplace(source, Known{fit_of(before), now}).first->second;
  own.fit.learn(what, took_us);
  own.taught = now;
  if (shared_.empty()) shared_.push_back(fit_of(before));
  shared_.front().learn(what, took_us);
}

/// Only where there is no room: they are trusted no more anyway.
void TransferModels::drop_old_links(TimePoint now) {
  if (links_.size() < kMostLinks) return;
  std::erase_if(links_, [&](const auto& link) { return now - link.second.taught >= kTrusted; });
}

void TransferModels::forget(const NodeId& node) {
  std::erase_if(links_,
                [&](const auto& link) { return link.first.first == node || link.first.second == node; });
  sources_.erase(node);
}

}  // namespace troupe::router
