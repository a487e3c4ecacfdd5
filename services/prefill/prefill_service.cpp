#include "services/prefill/prefill_service.hpp"

namespace troupe::prefill {

worker::WorkerSetup setup() {
  worker::WorkerSetup out;
  out.options.role = wire::Role::prefill;
  out.role_name = "prefill";
  return out;
}

}  // namespace troupe::prefill
