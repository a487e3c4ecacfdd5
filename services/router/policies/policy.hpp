#pragma once
// Chooses the worker that takes a request. A new policy: one source, one test, one line in builtin.cpp, one
// in CMake.
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

struct RequestView {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t choices = 1;
};

/// A ready worker of the right role and model, as the router sees it now.
struct Candidate {
  NodeId node;
  std::string_view name;
  std::uint32_t cached_tokens = 0;  ///< leading prompt tokens it holds
  std::uint32_t load = 0;      ///< sequences running or waiting, those placed since its last word included
  std::uint32_t capacity = 0;  ///< of `load`; 0: unknown
  std::uint32_t pages_total = 0;
  std::uint32_t pages_available = 0;  ///< free, or cached and evictable
  bool predicted = false;  ///< cached_tokens are a guess: it tells nothing of its cache
  std::uint32_t on_disk_tokens = 0;  ///< of cached_tokens, those it reads from disk first
};

struct Decision {
  std::size_t index = 0;    ///< into the candidates
  std::string_view reason;  ///< of a closed set: it becomes a metric label
};

/// Pure: keeps nothing between calls. Errors: no_ready_worker (no candidates), queue_full, out_of_pages (none
/// can ever hold the request). Threads: any. Cost: O(candidates); called once per request.
class RouterPolicy {
 public:
  virtual ~RouterPolicy() = default;
  [[nodiscard]] virtual Expected<Decision> choose(const RequestView& request,
                                                  std::span<const Candidate> candidates) const = 0;
};

struct RouterPolicyEntry {
  std::string_view name, summary, source;
  std::unique_ptr<RouterPolicy> (*make)();
};
/// In the order of builtin.cpp; the first is the default.
[[nodiscard]] const std::vector<RouterPolicyEntry>& builtin_router_policies();
/// Errors: config_invalid naming the known ones.
[[nodiscard]] Expected<std::unique_ptr<RouterPolicy>> make_router_policy(std::string_view name);

}  // namespace troupe::router
