#pragma once
// The decode service: a worker (common/worker) that owns streams. It batches continuously, samples, takes KV
// pages from prefill workers, and sends tokens straight to the gateways.
#include "common/worker/worker.hpp"

namespace troupe::decode {

/// What makes a worker a decode worker; addresses and names are the process's business.
[[nodiscard]] worker::WorkerSetup setup();

}  // namespace troupe::decode
