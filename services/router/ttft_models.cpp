#include "services/router/ttft_models.hpp"

namespace troupe::router {

TtftCoefficients TtftModels::costs(const NodeId& node, const ModelId& model, bool prefill) const {
  const auto own = workers_.find({node, model});
  if (own != workers_.end()) return own->second.costs();
  const auto all = shared_.find({model, prefill});
  return all == shared_.end() ? TtftCoefficients{} : all->second.costs();
}

void TtftModels::learn(const NodeId& node, const ModelId& model, bool prefill, const TtftFeatures& what,
                       double took_us) {
  TtftModel& all = shared_[{model, prefill}];
  const auto own = workers_.try_emplace({node, model}, all.costs()).first;
  own->second.learn(what, took_us);
  all.learn(what, took_us);
}

void TtftModels::forget(const NodeId& node) {
  const auto first = workers_.lower_bound({node, {}});
  auto end = first;
  while (end != workers_.end() && end->first.first == node) ++end;
  workers_.erase(first, end);
}

}  // namespace troupe::router
