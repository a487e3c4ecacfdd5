#include "services/router/worker_tables.hpp"

#include <algorithm>

namespace troupe::router {
namespace {

constexpr std::size_t kRowsPerPart = 64;  // some 300 bytes each: well below the control plane's size

bool counts(const Node& node) {
  const wire::Role role = node.identity.role;
  return node.ready() && (role == wire::Role::decode || role == wire::Role::prefill);
}

wire::WorkerTable::Row row_of(const wire::Join& worker) {
  wire::WorkerTable::Row row{worker.node,         worker.role, worker.name, worker.control_address,
                             worker.data_address, {}};
  for (const wire::ModelInfo& model : worker.models) row.models.push_back(model.name);
  return row;
}

}  // namespace

bool WorkerTables::update(const ClusterView& view) {
  std::vector<NodeId> ready;
  for (const auto& [id, node] : view.nodes())
    if (counts(node)) ready.push_back(id);
  if (number_ != 0 && ready == listed_) return false;
  listed_ = std::move(ready);
  ++number_;
  parts_.clear();
  const std::size_t parts = std::max<std::size_t>(1, (listed_.size() + kRowsPerPart - 1) / kRowsPerPart);
  for (std::size_t part = 0; part < parts; ++part) {
    wire::WorkerTable table{
        router_, number_, static_cast<std::uint32_t>(part), static_cast<std::uint32_t>(parts), {}};
    const std::size_t end = std::min(listed_.size(), (part + 1) * kRowsPerPart);
    for (std::size_t i = part * kRowsPerPart; i < end; ++i)
      table.rows.push_back(row_of(view.find(listed_[i])->identity));
    parts_.push_back(std::move(table));
  }
  return true;
}

}  // namespace troupe::router
