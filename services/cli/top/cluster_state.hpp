#pragma once
// One look at a cluster, as `troupe top` shows it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cli::top {

struct Node {
  std::string name, role, address;
  bool draining = false, hung = false, busy = false;
  std::uint64_t silent_ms = 0;  ///< since it was last heard
  bool computes = false;        ///< it told a load; what follows is of its models together
  std::uint64_t running = 0, waiting = 0;
  std::uint64_t pages_total = 0, pages_free = 0, pages_cached = 0;
  std::uint64_t queued_prompt_tokens = 0;
  std::optional<double> answer_rate, prompt_rate;  ///< tokens a second; none until two looks were taken

  [[nodiscard]] std::uint64_t pages_used() const {
    const std::uint64_t unused = pages_free + pages_cached;
    return pages_total > unused ? pages_total - unused : 0;
  }
};

struct ClusterState {
  std::string gateway;  ///< host:port
  std::string trouble;  ///< why there is nothing newer; "" while there is
  bool joined = false;  ///< a router answers that gateway
  std::string router;   ///< the first digits of its id
  std::uint64_t in_flight = 0, connections = 0, text_queue = 0;  ///< of that gateway
  bool draining = false;
  double request_rate = 0;     ///< ended a second, at that gateway
  std::uint64_t failures = 0;  ///< of those in the window, by a fault of ours (status 500 and over)
  std::optional<double> first_token_p50_ms, first_token_p99_ms;
  std::vector<Node> nodes;  ///< workers by name, then the others
};

}  // namespace troupe::cli::top
