#pragma once
// From a gateway's live events (/events/cluster, what the dashboard is fed by) to what is shown. Plain: the
// time is a parameter.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "common/base/clock.hpp"
#include "common/http/sse.hpp"
#include "services/cli/top/cluster_state.hpp"

namespace troupe::cli::top {

/// Threads: one. Memory: bounded, whatever a server sends.
class ClusterWatch {
 public:
  static constexpr Duration kRequestWindow = std::chrono::seconds(10);
  static constexpr Duration kTokenWindow = std::chrono::seconds(5);
  static constexpr std::size_t kMostRequests = 10'000, kMostNodes = 4096;

  explicit ClusterWatch(std::string gateway) { state_.gateway = std::move(gateway); }

  /// An event that is unknown or malformed changes nothing.
  void take(const SseEvent& event, TimePoint now);
  /// The stream broke; what was seen stays, under what was wrong.
  void lost(std::string why) { state_.trouble = std::move(why); }
  /// Another stream began: a gateway that was restarted counts anew.
  void connected();

  /// A router's report has come.
  [[nodiscard]] bool sees_cluster() const { return state_.joined && !state_.nodes.empty(); }
  [[nodiscard]] ClusterState state(TimePoint now) const;

 private:
  struct Request {
    double arrived = -1, started = -1, ended = -1;  ///< milliseconds of the gateway's clock
    int status = 0;
  };
  struct Tokens {
    std::uint64_t answers = 0, prompts = 0;
  };
  struct Look {
    TimePoint at;
    std::map<std::string, Tokens> nodes;  ///< by id: a restarted worker is another
  };
  void take_cluster(const std::string& data, TimePoint now);
  void take_gateway(const std::string& data);
  void take_requests(const std::string& data);

  ClusterState state_;
  double clock_ms_ = -1;  ///< the gateway's, when it was told
  TimePoint clock_at_{};
  std::map<std::uint64_t, Request> requests_;  ///< by number
  std::deque<Look> looks_;
};

}  // namespace troupe::cli::top
