#include "services/router/cluster_reports.hpp"

#include <algorithm>

namespace troupe::router {
namespace {

wire::ClusterReport::ModelLoad load_of(const wire::Load& load, const wire::Join& identity) {
  wire::ClusterReport::ModelLoad out;
  for (const wire::ModelInfo& model : identity.models)
    if (model.id == load.model) out.model = model.name;
  out.running = load.running;
  out.waiting = load.waiting;
  out.capacity = load.capacity;
  out.pages_total = load.pages_total;
  out.pages_free = load.pages_free;
  out.pages_cached = load.pages_cached;
  out.pages_reserved = load.pages_reserved;
  out.queued_prompt_tokens = load.queued_prompt_tokens;
  out.prompt_tokens = load.prompt_tokens;
  out.generated_tokens = load.generated_tokens;
  out.cached_tokens = load.cached_tokens;
  return out;
}

wire::ClusterReport::Row row_of(const Node& node, TimePoint now) {
  wire::ClusterReport::Row row;
  row.node = node.identity.node;
  row.role = node.identity.role;
  row.name = node.identity.name;
  row.control_address = node.identity.control_address;
  row.draining = node.draining;
  row.hung = node.hung;
  row.busy = node.busy;
  const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(now - node.heard).count();
  row.silent_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(silent, 0, 0xFFFFFFFF));
  row.placed = node.placed;
  row.placed_prefills = node.placed_prefills;
  for (const wire::Load& load : node.loads) row.loads.push_back(load_of(load, node.identity));
  return row;
}

std::size_t bytes_of(const wire::ClusterReport::Row& row) {
  std::size_t bytes = 64 + row.name.size() + row.control_address.size();
  for (const auto& load : row.loads) bytes += 64 + load.model.size();
  return bytes;
}

}  // namespace

void ClusterReports::ask(const std::string& address, TimePoint now) {
  const auto known = watchers_.find(address);
  if (known != watchers_.end()) {
    known->second.until = now + kPatience;
  } else if (watchers_.size() < kMaxWatchers) {
    watchers_[address] = {now + kPatience, 0};
  }
}

std::vector<wire::ClusterReport> ClusterReports::parts(const ClusterView& view, TimePoint now) const {
  std::vector<wire::ClusterReport> parts(1);
  std::size_t bytes = 0;
  for (const auto& [id, node] : view.nodes()) {
    auto row = row_of(node, now);
    bytes += bytes_of(row);
    if (bytes > kPartBytes && !parts.back().rows.empty()) {
      parts.emplace_back();
      bytes = bytes_of(row);
    }
    parts.back().rows.push_back(std::move(row));
  }
  for (std::uint32_t i = 0; i < parts.size(); ++i) {
    parts[i].router = router_;
    parts[i].number = number_;
    parts[i].part = i;
    parts[i].parts = static_cast<std::uint32_t>(parts.size());
  }
  return parts;
}

void ClusterReports::tell(const ClusterView& view, const PlacementLog& log, TimePoint now,
                          actors::Outbox& out) {
  std::erase_if(watchers_, [&](const auto& entry) { return now >= entry.second.until; });
  if (watchers_.empty()) return;
  ++number_;
  const auto nodes = parts(view, now);
  for (auto& [address, watcher] : watchers_) {
    for (const auto& part : nodes) out.send(address, part);
    wire::ClusterReport report;
    report.router = router_;
    report.number = number_;
    report.parts = 0;  // no part of the nodes
    std::size_t bytes = 0;
    for (const LoggedPlacement* placement : log.changed_since(watcher.told)) {
      wire::ClusterReport::Explanation told{placement->what->request, placement->what->epoch,
                                            to_json(*placement, kShownCandidates)};
      if (told.json.size() > wire::kMaxDetail.max) told.json = "{}";
      bytes += told.json.size();
      if (bytes > kPartBytes && !report.placements.empty()) break;
      watcher.told = placement->changed;
      report.placements.push_back(std::move(told));
    }
    if (!report.placements.empty()) out.send(address, report);
  }
}

}  // namespace troupe::router
