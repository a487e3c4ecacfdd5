#pragma once
// The workers as a router last told them, so that requests are placed while no router answers.
//
// The rule is simple, since this gateway sees its own share of the load only: of the decode workers that
// serve the model, one with the fewest of this gateway's own choices, in turn among equals. No prefill worker
// takes part.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/messages.hpp"

namespace troupe::gateway {

/// Threads: one.
class LastView {
 public:
  /// A part of a router's table. What an older router told stays beside it until forget_older(): a router
  /// that starts knows nobody yet.
  void take(const wire::WorkerTable& table);
  void forget_older();
  void gone(const NodeId& node) { workers_.erase(node); }
  /// Nobody listens there: chosen only when there is no other, until a table names it again.
  void unreachable(const std::string& control_address);

  /// Reachable decode workers of a model.
  [[nodiscard]] std::uint32_t decoders(const std::string& model) const;

  /// As the router last named it; the id's first digits when it did not.
  [[nodiscard]] std::string name(const NodeId& node) const;

  struct Ask {
    RequestId request;
    Epoch epoch;
    const std::string& model;
    const std::vector<NodeId>& avoid;  ///< taken only when there is no other
    std::function<std::uint32_t(const NodeId&)> load;
  };
  /// Nothing when no worker serves the model.
  [[nodiscard]] std::optional<wire::Placement> place(const Ask& ask);

 private:
  struct Worker {
    wire::WorkerTable::Row row;
    NodeId told_by;
    bool unreachable = false;
  };
  void apply(std::vector<wire::WorkerTable::Row> rows);

  std::map<NodeId, Worker> workers_;
  NodeId router_;
  std::uint64_t ticket_ = 0;
  // A table of which parts are missing.
  NodeId coming_from_;
  std::uint64_t coming_ = 0;
  std::map<std::uint32_t, std::vector<wire::WorkerTable::Row>> parts_;
};

}  // namespace troupe::gateway
