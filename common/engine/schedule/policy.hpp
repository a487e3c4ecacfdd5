#pragma once
// The choices a user has about schedules. None of them changes what a stream says.
#include <cstdint>

namespace troupe::engine {

/// Who shares a step.
enum class SchedulePolicy : std::uint8_t {
  hybrid,         ///< streams first, prompts fill what is left: no stream stalls
  prefill_first,  ///< prompts alone while there are any, streams wait: the baseline hybrid batches are measured against
};

/// How a sequence gives up its pages to others.
enum class PreemptionPolicy : std::uint8_t {
  automatic,  ///< whichever the cost model finds cheaper
  swap,       ///< its pages are kept in host memory, as far as that has room
  recompute,  ///< its pages are dropped
};

}  // namespace troupe::engine
