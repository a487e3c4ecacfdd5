#pragma once
// The Dispatcher over the cluster: a gateway role in this process's runtime.
#include <chrono>
#include <memory>
#include <string>

#include "common/actors/runtime.hpp"
#include "common/security/key_folder.hpp"
#include "services/gateway/cluster_console.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {

struct ClusterDispatcherOptions {
  GatewayOptions gateway;        ///< control_address is filled in
  std::string name = "gateway";  ///< of the role in its process
  std::string data_listen =
      "tcp://127.0.0.1:0";          ///< long prompts leave from here; "local://name" in one process
  std::size_t max_in_flight = 256;  ///< choices
  std::shared_ptr<const security::ClusterKeys> keys = nullptr;  ///< of the data port; null: none
};

class ClusterDispatcher : public Dispatcher, public ClusterConsole {
 public:
  /// Errors: address_in_use. `runtime` must outlive it.
  [[nodiscard]] static Expected<std::unique_ptr<ClusterDispatcher>> create(
      actors::Runtime& runtime, const ClusterDispatcherOptions& options);
  /// Refuses what is new from now on.
  virtual void drain() = 0;
  /// Ends what is left with `draining` and leaves the cluster.
  virtual void abandon() = 0;
  /// GatewayState::meet_routers. Threads: any.
  virtual void meet_routers(const std::vector<std::string>& addresses) = 0;
  /// Choices in flight at most, from the next request on. Threads: any.
  virtual void set_max_in_flight(std::size_t choices) = 0;
  /// Copies, at most a tick old. Threads: any.
  [[nodiscard]] virtual GatewayCounters counters() const = 0;
  [[nodiscard]] virtual bool joined() const = 0;
  /// Peers without the keys, at the data port. Threads: any.
  [[nodiscard]] virtual std::uint64_t handshakes_refused() const = 0;
  [[nodiscard]] virtual const std::string& control_address() const = 0;
};

}  // namespace troupe::gateway
