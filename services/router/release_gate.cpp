#include "services/router/release_gate.hpp"

namespace troupe::router {

Expected<void> ReleaseGate::admit(const wire::Join& join, const ClusterView& view) {
  auto fits = wire::check_neighbours(join.release, own_);
  if (!fits) {
    ++refusals_;
    return fail(fits.error().code, join.name + " and the router: " + fits.error().detail);
  }
  for (const auto& [id, node] : view.nodes()) {
    const wire::Join& other = node.identity;
    if (id == join.node || other.name == join.name || other.control_address == join.control_address) continue;
    fits = wire::check_neighbours(join.release, other.release);
    if (fits) continue;
    ++refusals_;
    return fail(fits.error().code, join.name + " and the member " + other.name + ": " + fits.error().detail);
  }
  return {};
}

bool ReleaseGate::is_news(const wire::Join& join) {
  if (told_.size() >= kMostTold) told_.clear();
  return told_.insert(join.node).second;
}

}  // namespace troupe::router
