#include "services/router/placement_book.hpp"

#include <algorithm>

namespace troupe::router {
namespace {

// A placement travels to the gateway, from there to the worker, and into a heartbeat of its own.
constexpr std::chrono::milliseconds kFlight{250};

double microseconds(Duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

void PlacementBook::placed(const NodeId& node, const Entry& entry) {
  Worker& worker = workers_[node];
  if (worker.entries.empty()) worker.serving_since = entry.placed;
  worker.entries.push_back(entry);
}

void PlacementBook::done(const NodeId& node, const RequestId& request, TimePoint now) {
  const auto worker = workers_.find(node);
  if (worker == workers_.end()) return;
  auto& entries = worker->second.entries;
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const Entry& entry) { return entry.request == request; });
  if (at == entries.end()) return;
  if (at == entries.begin()) worker->second.serving_since = now;
  entries.erase(at);
}

void PlacementBook::reported(const NodeId& node, double queued_tokens, double token_us, TimePoint now) {
  Worker& worker = workers_[node];
  double known = 0;  // of the book's, what the worker must have heard of
  for (const Entry& entry : worker.entries)
    if (entry.placed + kFlight <= now) known += entry.prompt_tokens;
  // Fewer than the book thinks: the word of a first token was lost, or is still on its way.
  while (known > queued_tokens && !worker.entries.empty() && worker.entries.front().placed + kFlight <= now) {
    const double oldest = worker.entries.front().prompt_tokens;
    if (known - oldest < queued_tokens) break;  // this one is half way through
    known -= oldest;
    worker.entries.erase(worker.entries.begin());
    worker.serving_since = now;
  }
  // What of the first one is computed is not in what it said. One that should be through has not begun:
  // others were ahead, or the worker is slow.
  if (known > 0) {
    const Entry& first = worker.entries.front();
    const double passed = microseconds(now - worker.serving_since) / std::max(token_us, 1e-3);
    if (passed < first.uncached_tokens) known -= first.prompt_tokens - (first.uncached_tokens - passed);
  }
  double young = 0;  // may or may not be in what it said
  for (const Entry& entry : worker.entries)
    if (entry.placed + kFlight > now) young += entry.prompt_tokens;
  worker.others = std::max(0.0, queued_tokens - known - young);
  worker.heard = now;
}

double PlacementBook::queued(const NodeId& node, const Asks& asks, double token_us, TimePoint now) const {
  const auto found = workers_.find(node);
  if (found == workers_.end()) return 0;
  const Worker& worker = found->second;
  // What is not said to be over is not over: only the first one's own tokens pass with time.
  double passed = microseconds(now - worker.serving_since) / std::max(token_us, 1e-3);
  std::map<std::uint64_t, double> by_tenant;
  double known = 0;
  for (const Entry& entry : worker.entries) {
    if (entry.priority < asks.priority) continue;
    const double left = entry.uncached_tokens - std::clamp(passed, 0.0, entry.uncached_tokens);
    passed = 0;
    by_tenant[entry.tenant] += left;
    known += left;
  }
  // Whose those are that other routers placed is not known: they are thought to be like one's own.
  const double since = microseconds(now - worker.heard) / std::max(token_us, 1e-3);
  const double others = std::max(0.0, worker.others - since);
  if (!(known > 0)) return others;
  const auto mine = by_tenant.find(asks.tenant);
  double own = mine == by_tenant.end() ? 0 : mine->second;
  own += others * own / known;
  double ahead = own;
  for (const auto& [tenant, tokens] : by_tenant)
    if (tenant != asks.tenant) ahead += std::min(tokens + others * tokens / known, own + asks.tokens);
  return ahead;
}

double PlacementBook::unseen(const NodeId& node) const {
  const auto found = workers_.find(node);
  if (found == workers_.end()) return 0;
  double tokens = 0;
  for (const Entry& entry : found->second.entries)
    if (entry.placed >= found->second.heard) tokens += entry.uncached_tokens;
  return tokens;
}

std::size_t PlacementBook::waiting(const NodeId& node) const {
  const auto found = workers_.find(node);
  return found == workers_.end() ? 0 : found->second.entries.size();
}

}  // namespace troupe::router
