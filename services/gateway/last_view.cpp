#include "services/gateway/last_view.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace troupe::gateway {
namespace {

constexpr std::uint32_t kMaxParts = 256;

bool serves(const wire::WorkerTable::Row& row, const std::string& model) {
  return row.role == wire::Role::decode &&
         std::find(row.models.begin(), row.models.end(), model) != row.models.end();
}

}  // namespace

void LastView::take(const wire::WorkerTable& table) {
  if (table.parts == 0 || table.parts > kMaxParts || table.part >= table.parts) return;
  if (table.router == coming_from_ && table.number < coming_) return;  // overtaken by a newer one
  if (table.router != coming_from_ || table.number != coming_) {
    coming_from_ = table.router;
    coming_ = table.number;
    parts_.clear();
  }
  parts_[table.part] = table.rows;
  if (parts_.size() < table.parts) return;
  router_ = table.router;
  std::vector<wire::WorkerTable::Row> rows;
  for (auto& [part, some] : parts_) std::ranges::move(some, std::back_inserter(rows));
  parts_.clear();
  apply(std::move(rows));
}

void LastView::apply(std::vector<wire::WorkerTable::Row> rows) {
  std::erase_if(workers_, [&](const auto& entry) { return entry.second.told_by == router_; });
  for (wire::WorkerTable::Row& row : rows) {
    // A worker that started again has its name and another id.
    std::erase_if(workers_, [&](const auto& entry) { return entry.second.row.name == row.name; });
    const NodeId node = row.node;
    workers_[node] = {std::move(row), router_, false};
  }
}

void LastView::forget_older() {
  std::erase_if(workers_, [&](const auto& entry) { return entry.second.told_by != router_; });
}

void LastView::unreachable(const std::string& control_address) {
  for (auto& [node, worker] : workers_)
    if (worker.row.control_address == control_address) worker.unreachable = true;
}

std::uint32_t LastView::decoders(const std::string& model) const {
  return static_cast<std::uint32_t>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return !entry.second.unreachable && serves(entry.second.row, model);
  }));
}

std::optional<wire::Placement> LastView::place(const Ask& ask) {
  // What stands against a worker, worst first: it failed this request, it was not there, it has work.
  using Rank = std::tuple<bool, bool, std::uint32_t>;
  std::vector<const wire::WorkerTable::Row*> best;
  Rank best_rank;
  for (const auto& [node, worker] : workers_) {
    if (!serves(worker.row, ask.model)) continue;
    const bool avoided = std::find(ask.avoid.begin(), ask.avoid.end(), node) != ask.avoid.end();
    const Rank rank{avoided, worker.unreachable, ask.load(node)};
    if (!best.empty() && rank > best_rank) continue;
    if (best.empty() || rank < best_rank) best.clear();
    best_rank = rank;
    best.push_back(&worker.row);
  }
  if (best.empty()) return std::nullopt;
  const wire::WorkerTable::Row& row = *best[ticket_++ % best.size()];
  wire::Placement out;
  out.request = ask.request;
  out.epoch = ask.epoch;
  out.decode = row.node;
  out.decode_address = row.control_address;
  out.decode_data_address = row.data_address;
  out.reason = "last_view";
  return out;
}

std::string LastView::name(const NodeId& node) const {
  const auto at = workers_.find(node);
  return at == workers_.end() ? to_hex(node).substr(0, 8) : at->second.row.name;
}

}  // namespace troupe::gateway
