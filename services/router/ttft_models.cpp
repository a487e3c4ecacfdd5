#include "services/router/ttft_models.hpp"

namespace troupe::router {
namespace {
constexpr std::chrono::minutes kTrusted{1};
}

TtftCoefficients TtftModels::costs(const NodeId& node, const ModelId& model, bool prefill,
                                   TimePoint now) const {
  const auto own = workers_.find({node, model});
  if (own != workers_.end() && now - own->second.taught < kTrusted) return own->second.model.costs();
  for (const bool kind : {prefill, !prefill}) {  // the other kind computes the same model
    const auto all = shared_.find({model, kind});
    if (all != shared_.end()) return all->second.costs();
  }
  return {};
}

void TtftModels::learn(const NodeId& node, const ModelId& model, bool prefill, const TtftFeatures& what,
                       double took_us, TimePoint now) {
  const TtftCoefficients before = costs(node, model, prefill, now);
  Known& own = workers_.try_emplace({node, model}, Known{TtftModel(before), now}).first->second;
  own.model.learn(what, took_us);
  own.taught = now;
  shared_.try_emplace({model, prefill}, before).first->second.learn(what, took_us);
}

void TtftModels::forget(const NodeId& node) {
  const auto first = workers_.lower_bound({node, {}});
  auto end = first;
  while (end != workers_.end() && end->first.first == node) ++end;
  workers_.erase(first, end);
}

}  // namespace troupe::router
