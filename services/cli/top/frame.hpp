#pragma once
// A cluster as text for a terminal of any size.
#include <cstddef>
#include <string>

#include "services/cli/top/cluster_state.hpp"

namespace troupe::cli::top {

struct FrameOptions {
  std::size_t width = 80;  ///< no line is longer; less important columns go first
  std::size_t height = 0;  ///< no more lines than these; 0: as many as there are
  bool colour = false;     ///< ANSI: what is hung in red, what drains in yellow
};

/// Lines, each with its end. Pure; nothing of the state can move the cursor.
[[nodiscard]] std::string frame(const ClusterState& state, const FrameOptions& options);

}  // namespace troupe::cli::top
