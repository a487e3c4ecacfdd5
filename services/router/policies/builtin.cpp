// The policies, one line each.
#include <string>

#include "services/router/policies/cache_aware.hpp"
#include "services/router/policies/consistent_hash.hpp"
#include "services/router/policies/kv_overlap.hpp"
#include "services/router/policies/least_loaded.hpp"
#include "services/router/policies/load_and_prefix.hpp"
#include "services/router/policies/predicted_ttft.hpp"
#include "services/router/policies/random_worker.hpp"
#include "services/router/policies/round_robin.hpp"

namespace troupe::router {
namespace {

template <class P>
std::unique_ptr<RouterPolicy> plain(const PolicyOptions&) {
  return std::make_unique<P>();
}

}  // namespace

const std::vector<RouterPolicyEntry>& builtin_router_policies() {
  static const std::vector<RouterPolicyEntry> kEntries = {
      {"predicted_ttft", "least predicted time to the first token and cost to others, learnt", "house",
       [](const PolicyOptions& o) {
         return std::unique_ptr<RouterPolicy>(std::make_unique<PredictedTtft>(o));
       }},
      {"load_and_prefix", "least uncached prompt and queue", "house", plain<LoadAndPrefix>},
      {"kv_overlap", "least blocks to prefill and in use", "Dynamo's KV router", plain<KvOverlap>},
      {"cache_aware", "longest prefix over half the prompt, else most free pages", "SGLang's router",
       plain<CacheAware>},
      {"consistent_hash", "by the prompt's beginning, with bounded loads", "Mirrokni et al. 2018",
       plain<ConsistentHash>},
      {"least_loaded", "fewest sequences, blind to prefixes: the baseline", "house", plain<LeastLoaded>},
      {"round_robin", "one after the other", "house", plain<RoundRobin>},
      {"random", "any", "house", plain<RandomWorker>},
  };
  return kEntries;
}

Expected<std::unique_ptr<RouterPolicy>> make_router_policy(std::string_view name,
                                                           const PolicyOptions& options) {
  std::string known;
  for (const RouterPolicyEntry& entry : builtin_router_policies()) {
    if (entry.name == name) return entry.make(options);
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return fail(Errc::config_invalid, "router policy \"" + std::string(name) + "\" is not one of " + known);
}

}  // namespace troupe::router
