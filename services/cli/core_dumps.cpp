#include "services/cli/core_dumps.hpp"

#include <sys/resource.h>

namespace troupe::cli {

void forbid_core_dumps() {
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);  // lowering one's own limit is always allowed
}

}  // namespace troupe::cli
