#include "common/transport/data_plane.hpp"

#include "common/transport/local_plane.hpp"
#include "common/transport/zmq_plane.hpp"

namespace troupe {

Expected<std::unique_ptr<DataPlane>> DataPlane::create(const DataPlaneOptions& options, DataPlaneHandlers handlers) {
  TROUPE_CHECK(handlers.received != nullptr, "a data plane needs a receiver");
  if (options.listen.starts_with("local://")) return make_local_plane(options, std::move(handlers));
  if (options.listen.starts_with("tcp://")) return make_zmq_plane(options, std::move(handlers));
  return fail(Errc::invalid_argument, "data plane address '" + options.listen + "' is neither tcp:// nor local://");
}

}  // namespace troupe
