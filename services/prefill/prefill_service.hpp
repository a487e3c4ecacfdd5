#pragma once
// The prefill service: a worker (common/worker) that computes prompts for decode workers in chunks and
// streams finished pages to them layer by layer. Losing one costs time, never an answer.
#include "common/worker/worker.hpp"

namespace troupe::prefill {

/// What makes a worker a prefill worker; addresses and names are the process's business.
[[nodiscard]] worker::WorkerSetup setup();

}  // namespace troupe::prefill
