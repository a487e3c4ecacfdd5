#pragma once
// What a worker counted so far, as plain numbers; metrics.hpp gives them names.
#include <cstdint>

namespace troupe::worker {

struct WorkerCounters {
  std::uint64_t requests = 0;  ///< Generate messages taken
  std::uint64_t refused = 0;   ///< answered with an error at once
  std::uint64_t finished = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t tokens_messages = 0;
  std::uint64_t resends = 0;
  std::uint64_t stale_epochs = 0;       ///< messages of older placements, dropped
  std::uint64_t malformed = 0;          ///< messages that do not parse
  std::uint64_t imports = 0;            ///< prompts whose pages came from a prefill worker
  std::uint64_t prefill_fallbacks = 0;  ///< prefill failed, prefilled here instead
  std::uint64_t fetches = 0;            ///< prompts whose pages came from a peer's cache
  std::uint64_t fetched_tokens = 0;     ///< in them, pages that were here already aside
  std::uint64_t fetch_fallbacks = 0;    ///< the peer failed, computed here instead
  std::uint64_t imports_regrouped = 0;  ///< of both kinds: pages of another layout, the same bits
  std::uint64_t imports_lossy = 0;      ///< whose pages were made of other numbers
  std::uint64_t conversions_refused = 0;  ///< computed here, where lossy conversion would have spared it
  std::uint64_t sources_asked_again = 0;  ///< silent ones, for pages
  std::uint64_t exports = 0;            ///< fetches answered
  std::uint64_t exports_failed = 0;
  std::uint64_t offered = 0;            ///< streams that gateways were asked to take elsewhere
  std::uint64_t first_tokens_taken = 0; ///< that a prefill worker drew: told before the pages were here
  std::uint64_t first_tokens_drawn = 0; ///< for others
  std::uint64_t prefills = 0;           ///< prompts computed for others
  std::uint64_t prefills_failed = 0;
  std::uint64_t leases_expired = 0;
  std::uint64_t streams = 0;  ///< held now, finished ones included
  std::uint64_t streams_running = 0;
  std::uint64_t prefills_running = 0;
  std::uint64_t exports_running = 0;
  std::uint64_t prompts_parked = 0;
  std::uint64_t role_changes = 0;
  std::uint64_t release_refusals = 0;  ///< joins that failed since releases were no neighbours
  bool joined = false;
};

}  // namespace troupe::worker
