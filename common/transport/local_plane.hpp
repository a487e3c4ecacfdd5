#pragma once
// The data plane inside one process: the payload's handle changes hands, nothing is copied.
#include "common/transport/data_plane.hpp"

namespace troupe {

/// Errors: address_in_use when the name is taken in this process.
[[nodiscard]] Expected<std::unique_ptr<DataPlane>> make_local_plane(const DataPlaneOptions& options, DataPlaneHandlers handlers);

}  // namespace troupe
