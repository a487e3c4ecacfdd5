#pragma once
// The data plane over ZeroMQ (its wall): a bound ROUTER receives, one DEALER per peer sends, one thread owns all sockets.
#include "common/transport/data_plane.hpp"

namespace troupe {

[[nodiscard]] Expected<std::unique_ptr<DataPlane>> make_zmq_plane(const DataPlaneOptions& options, DataPlaneHandlers handlers);

}  // namespace troupe
