#pragma once
// The HTTP edge as a whole: server, routes, text pool and models in front of a Dispatcher.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/metrics/registry.hpp"
#include "common/trace/tracer.hpp"
#include "services/gateway/audit_log.hpp"
#include "services/gateway/batches/batch_service.hpp"
#include "services/gateway/dashboard.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/generate_request.hpp"
#include "services/gateway/http_server.hpp"
#include "services/gateway/model_table.hpp"
#include "services/gateway/request_store.hpp"
#include "services/gateway/responses/store.hpp"

namespace troupe::gateway {

struct EdgeOptions {
  HttpOptions http;
  std::size_t text_threads = 1;
  std::size_t text_queue = 256;  ///< waiting requests; over it 429
  RequestLimits limits;
  Duration request_deadline = std::chrono::minutes(10);  ///< of a generation, from its arrival
  std::function<std::string()> config_json = {};         ///< what /config answers; none: {}. Threads: any
  std::shared_ptr<RequestStore> requests = nullptr;      ///< null: no stream can be resumed
  responses::StoreOptions response_store = {};
  DashboardOptions dashboard;
  std::shared_ptr<RequestLog> log =
      std::make_shared<RequestLog>();  ///< the dispatcher may say there where requests are placed
  std::string instance = {};           ///< this gateway's name, in traces
  std::shared_ptr<trace::Tracer> tracer = nullptr;  ///< null: nothing is recorded
  std::function<std::string()> router_json = {};    ///< JSON for /state where the router is in this process
  std::string api_keys =
      {};  ///< file of the API's keys (api_keys.hpp); empty: whoever reaches the API may use it
  AuditOptions audit = {};  ///< no target: nothing is written down
  BatchServiceOptions batches = {};  ///< no folder: /v1/files and /v1/batches answer 501
  /// A port that has all of the API's paths, and alone the dashboard's, /config and /state. None: one port
  /// has all.
  std::optional<HttpOptions> admin = {};
};

/// What may be changed while an edge serves (Edge::tune).
struct EdgeTuning {
  HttpLimits http;
  Duration request_deadline = std::chrono::minutes(10);
  AuditTarget audit = {};
};

class Edge {
 public:
  /// Listens at once; /readyz turns 200 with the first ready worker. `dispatcher` and `registry` must outlive
  /// the Edge, and the dispatcher must have let go of every sink or answered it before it is destroyed.
  /// Errors: HttpServer::start's, KeyRing::open's, AuditLog::open's.
  [[nodiscard]] static Expected<std::unique_ptr<Edge>> start(EdgeOptions options, ModelTable models,
                                                             Dispatcher& dispatcher,
                                                             metrics::Registry& registry);
  virtual ~Edge() = default;  ///< cancels what is in flight and closes

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  [[nodiscard]] virtual std::optional<std::uint16_t> admin_port() const = 0;
  [[nodiscard]] virtual std::size_t connections() const = 0;
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  /// For connections, requests and lines of the audit log that come from now on; at both ports. Threads: one.
  /// Errors: AuditLog::turn_to's; the audit log then stays as it was, the rest is taken over.
  [[nodiscard]] virtual Expected<void> tune(const EdgeTuning& tuning) = 0;
  /// Reads the keys again and opens the audit log's file by its name: somebody says that they changed.
  /// Threads: tune()'s.
  virtual void refresh() = 0;
  /// New work gets 503 with Retry-After; what runs goes on. Threads: any.
  virtual void begin_drain() = 0;
  /// Drains until `deadline`, then cuts. Returns whether all answers ended by themselves.
  virtual bool stop(Duration deadline) = 0;
};

}  // namespace troupe::gateway
