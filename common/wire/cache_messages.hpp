#pragma once
// Which blocks a worker's cache holds, told to routers.
#include "common/wire/message.hpp"

namespace troupe::wire {

/// Blocks a worker began or ceased to hold. `sequence` counts up by one per update; a gap asks for a snapshot.
struct KvUpdate {
  TROUPE_MESSAGE(KvUpdate, 2, 1);
  NodeId node;
  ModelId model;
  std::uint64_t sequence = 0;
  bool snapshot = false;        ///< `stored` is everything; forget the rest
  std::vector<BlockKey> stored;   ///< in memory
  std::vector<BlockKey> removed;
  std::vector<BlockKey> stored_on_disk = {}, removed_from_disk = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("model", s.model);
    v("sequence", s.sequence);
    v("snapshot", s.snapshot);
    v("stored", s.stored, kMaxBlocks);
    v("removed", s.removed, kMaxBlocks);
    v.since(2, "stored_on_disk", s.stored_on_disk, kMaxBlocks);
    v.since(2, "removed_from_disk", s.removed_from_disk, kMaxBlocks);
  }
};

struct KvSnapshotRequest {
  TROUPE_MESSAGE(KvSnapshotRequest, 1, 1);
  NodeId node;
  ModelId model;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("model", s.model);
  }
};

}  // namespace troupe::wire
