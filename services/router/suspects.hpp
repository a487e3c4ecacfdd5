#pragma once
// Nodes the router lost sight of, until it is known whether they died: a connection that ended or a silence
// is no death yet. One that joins again was only cut off; one whose name another process takes, or that stays
// away, died.
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

/// Threads: one. Bounded by time: every entry leaves at its verdict.
class Suspects {
 public:
  explicit Suspects(Duration verdict_after) : verdict_after_(verdict_after) {}

  void lost(const NodeId& node, std::string name, TimePoint now);
  /// A process joins: it was not dead, and others of its name were. Returns those.
  [[nodiscard]] std::vector<NodeId> joined(const NodeId& node, const std::string& name);
  /// Those that stayed away too long, once each.
  [[nodiscard]] std::vector<NodeId> dead(TimePoint now);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    TimePoint verdict_at;
  };
  Duration verdict_after_;
  std::map<NodeId, Entry> entries_;
};

}  // namespace troupe::router
