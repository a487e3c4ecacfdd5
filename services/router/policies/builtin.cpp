// The policies, one line each.
#include <string>

#include "services/router/policies/least_loaded.hpp"
#include "services/router/policies/load_and_prefix.hpp"

namespace troupe::router {

const std::vector<RouterPolicyEntry>& builtin_router_policies() {
  static const std::vector<RouterPolicyEntry> kEntries = {
      {"load_and_prefix", "least uncached prompt and queue", "house",
       [] { return std::unique_ptr<RouterPolicy>(std::make_unique<LoadAndPrefix>()); }},
      {"least_loaded", "fewest sequences, blind to prefixes: the baseline", "house",
       [] { return std::unique_ptr<RouterPolicy>(std::make_unique<LeastLoaded>()); }},
  };
  return kEntries;
}

Expected<std::unique_ptr<RouterPolicy>> make_router_policy(std::string_view name) {
  std::string known;
  for (const RouterPolicyEntry& entry : builtin_router_policies()) {
    if (entry.name == name) return entry.make();
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return fail(Errc::config_invalid, "router policy \"" + std::string(name) + "\" is not one of " + known);
}

}  // namespace troupe::router
