#include "services/cli/top/cluster_watch.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::cli::top {
namespace {

using nlohmann::json;

std::uint64_t count_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

bool flag_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

std::string text_at(const json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

/// Of a request's row; columns as services/gateway/request_log.hpp names them.
enum Column : std::size_t {
  kNumber = 0,
  kArrived = 5,
  kStarted = 8,
  kEnded = 9,
  kStatus = 16,
  kColumns = 17
};

double time_of(const json& row, Column column) {
  return row[column].is_number() ? row[column].get<double>() : -1;
}

Node read_node(const json& row) {
  Node node;
  node.name = text_at(row, "name");
  node.role = text_at(row, "role");
  node.address = text_at(row, "address");
  node.draining = flag_at(row, "draining");
  node.hung = flag_at(row, "hung");
  node.busy = flag_at(row, "busy");
  node.silent_ms = count_at(row, "silent_ms");
  const auto loads = row.find("loads");
  if (loads == row.end() || !loads->is_array()) return node;
  for (const json& load : *loads) {
    if (!load.is_object()) continue;
    node.computes = true;
    node.running += count_at(load, "running");
    node.waiting += count_at(load, "waiting");
    node.pages_total += count_at(load, "pages_total");
    node.pages_free += count_at(load, "pages_free");
    node.pages_cached += count_at(load, "pages_cached");
    node.queued_prompt_tokens += count_at(load, "queued_prompt_tokens");
  }
  return node;
}

std::uint64_t sum_of_loads(const json& row, const char* key) {
  std::uint64_t sum = 0;
  if (const auto loads = row.find("loads"); loads != row.end() && loads->is_array())
    for (const json& load : *loads)
      if (load.is_object()) sum += count_at(load, key);
  return sum;
}

bool shown_before(const Node& a, const Node& b) {
  return std::pair(!a.computes, a.name) < std::pair(!b.computes, b.name);
}

/// Nearest rank.
double percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

double a_second(std::uint64_t from, std::uint64_t to, Duration over) {
  if (to <= from || over <= Duration::zero()) return 0;
  return static_cast<double>(to - from) / std::chrono::duration<double>(over).count();
}

}  // namespace

void ClusterWatch::take(const SseEvent& event, TimePoint now) {
  if (event.name == "clock") {
    const json clock = json::parse(event.data, nullptr, false);
    if (!clock.is_number()) return;
    clock_ms_ = clock.get<double>();
    clock_at_ = now;
  } else if (event.name == "gateway") {
    take_gateway(event.data);
  } else if (event.name == "cluster") {
    take_cluster(event.data, now);
  } else if (event.name == "requests") {
    take_requests(event.data);
  }
}

void ClusterWatch::connected() {
  state_.trouble.clear();
  requests_.clear();
  clock_ms_ = -1;
}

void ClusterWatch::take_gateway(const std::string& data) {
  const json gateway = json::parse(data, nullptr, false);
  if (!gateway.is_object()) return;
  state_.in_flight = count_at(gateway, "in_flight");
  state_.connections = count_at(gateway, "connections");
  state_.text_queue = count_at(gateway, "text_queue");
  state_.draining = flag_at(gateway, "draining");
}

void ClusterWatch::take_cluster(const std::string& data, TimePoint now) {
  const json cluster = json::parse(data, nullptr, false);
  if (!cluster.is_object()) return;
  const auto rows = cluster.find("nodes");
  if (rows == cluster.end() || !rows->is_array()) return;
  state_.joined = flag_at(cluster, "joined");
  state_.router = text_at(cluster, "router");
  Look look{now, {}};
  std::vector<std::pair<std::string, Node>> nodes;  // by id
  for (const json& row : *rows) {
    if (!row.is_object() || nodes.size() >= kMostNodes) continue;
    const std::string id = text_at(row, "id");
    look.nodes[id] = {sum_of_loads(row, "generated_tokens"), sum_of_loads(row, "prompt_tokens")};
    nodes.emplace_back(id, read_node(row));
  }
  looks_.push_back(std::move(look));
  while (looks_.size() > 2 && now - looks_[1].at >= kTokenWindow) looks_.pop_front();
  const Look &first = looks_.front(), &last = looks_.back();
  state_.nodes.clear();
  for (auto& [id, node] : nodes) {
    if (const auto before = first.nodes.find(id);
        &first != &last && node.computes && before != first.nodes.end()) {
      node.answer_rate = a_second(before->second.answers, last.nodes.at(id).answers, last.at - first.at);
      node.prompt_rate = a_second(before->second.prompts, last.nodes.at(id).prompts, last.at - first.at);
    }
    state_.nodes.push_back(std::move(node));
  }
  std::ranges::sort(state_.nodes, shown_before);
}

void ClusterWatch::take_requests(const std::string& data) {
  const json rows = json::parse(data, nullptr, false);
  if (!rows.is_array()) return;
  for (const json& row : rows) {
    if (!row.is_array() || row.size() < kColumns || !row[kNumber].is_number_unsigned()) continue;
    const int status = row[kStatus].is_number_integer() ? row[kStatus].get<int>() : 0;
    requests_[row[kNumber].get<std::uint64_t>()] = {time_of(row, kArrived), time_of(row, kStarted),
                                                    time_of(row, kEnded), status};
    if (requests_.size() > kMostRequests) requests_.erase(requests_.begin());
  }
}

ClusterState ClusterWatch::state(TimePoint now) const {
  ClusterState state = state_;
  if (clock_ms_ < 0) return state;
  const double now_ms = clock_ms_ + std::chrono::duration<double, std::milli>(now - clock_at_).count();
  const double window_ms =
      std::clamp(now_ms, 1.0, std::chrono::duration<double, std::milli>(kRequestWindow).count());
  std::vector<double> first_tokens;
  std::size_t ended = 0;
  for (const auto& [number, request] : requests_) {
    if (request.started >= 0 && request.started >= now_ms - window_ms)
      first_tokens.push_back(request.started - request.arrived);
    if (request.ended < 0 || request.ended < now_ms - window_ms) continue;
    ++ended;
    state.failures += request.status >= 500 ? 1 : 0;
  }
  state.request_rate = static_cast<double>(ended) * 1000 / window_ms;
  if (first_tokens.empty()) return state;
  std::ranges::sort(first_tokens);
  state.first_token_p50_ms = percentile(first_tokens, 0.5);
  state.first_token_p99_ms = percentile(first_tokens, 0.99);
  return state;
}

}  // namespace troupe::cli::top
