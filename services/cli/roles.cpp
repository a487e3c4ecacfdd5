// Builds a process from its configuration: which roles it hosts, how they reach others, and how it ends.
//
// `serve` hosts a router, one decode worker and a gateway in one actor system with local addresses: no port
// but HTTP. It has no prefill role: in one process that would pack the weights twice to hand pages from one
// half of the memory to the other, while the decode worker's own hybrid batch computes the same bits.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "common/actors/address.hpp"
#include "common/actors/local_address.hpp"
#include "common/actors/runtime.hpp"
#include "common/base/log.hpp"
#include "common/config/model_catalog.hpp"
#include "common/draft/draft_link.hpp"
#include "common/metrics/process.hpp"
#include "common/security/key_folder.hpp"
#include "common/trace/exporter.hpp"
#include "common/wire/release.hpp"
#include "common/worker/metrics.hpp"
#include "services/cli/config_reload.hpp"
#include "services/cli/core_dumps.hpp"
#include "services/cli/draft_hosts.hpp"
#include "services/cli/notify.hpp"
#include "services/cli/process_signals.hpp"
#include "services/cli/role_options.hpp"
#include "services/cli/role_runner.hpp"
#include "services/cli/router_roster.hpp"
#include "services/cli/worker_engines.hpp"
#include "services/decode/decode_service.hpp"
#include "services/draft/metrics.hpp"
#include "services/gateway/cluster_dispatcher.hpp"
#include "services/gateway/cluster_metrics.hpp"
#include "services/gateway/edge.hpp"
#include "services/gateway/metrics.hpp"
#include "services/gateway/request_store.hpp"
#include "services/prefill/prefill_service.hpp"
#include "services/router/event_intake.hpp"
#include "services/router/metrics.hpp"
#include "services/router/router_state.hpp"

namespace troupe::cli {
namespace {

using namespace std::chrono_literals;

const metrics::Declaration kRevision{
    "troupe_process_wire_revision",
    "Revision of the messages that this process writes; neighbours serve together.", metrics::Kind::gauge};
constexpr auto kRouterPatience = 1min;  // to find one in the directory

worker::Conversion conversion_of(const std::string& text) {
  return text == "lossy"   ? worker::Conversion::lossy
         : text == "exact" ? worker::Conversion::exact
                           : worker::Conversion::off;
}

/// One process: what it hosts, in the order of construction; destroyed in the reverse one.
class Process {
 public:
  Process(std::string_view role, RoleSet roles, const Config& config, ConfigReload::Read reread)
      : role_(role), config_(config), live_(config, roles, std::move(reread), registry_) {}
  ~Process() { intake_.stop(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Expected<void> run() {
    metrics::add_process_metrics(registry_);
    registry_.gauge(kRevision).set(wire::kRevision);
    if (auto built = build(); !built) {
      if (built.error().code == Errc::cancelled) return {};  // it was told to stop meanwhile
      return built;
    }
    if (!stop_early_) log::info("started", {{"role", role_}});
    wait_until_ready();
    while (!stop_early_ && signals_.next() == ProcessSignal::reload) {
      live_.reload([this](const Config& config) { apply(config); });
      if (edge_) edge_->refresh();
    }
    signals_.let_through();
    log::info("draining", {{"role", role_}});
    notify_stopping();
    drain();
    return {};
  }

 private:
  /// Every reloadable option, where it is used; drain.deadline is read when it is needed.
  void apply(const Config& config) {
    log::configure({log_level(config), config_.boolean("log.json"), role_});
    if (dispatcher_) dispatcher_->set_max_in_flight(most_streams(config));
    if (edge_)
      if (const auto tuned = edge_->tune(edge_tuning(config)); !tuned)
        log::error("the audit log stays where it was", {{"error", to_string(tuned.error())}});
    if (!router_) return;
    router_.post([tuning = router_tuning(config)](actors::RoleState& state, TimePoint, actors::Outbox&) {
      const auto tuned = dynamic_cast<router::RouterState&>(state).tune(tuning);
      if (!tuned) log::error("the router was not tuned", {{"error", to_string(tuned.error())}});
    });
  }

  [[nodiscard]] bool serves() const { return role_ == "serve"; }
  [[nodiscard]] bool hosts(std::string_view role) const {
    return serves() ? role != "prefill" && role != "draft" : role_ == role;
  }

  Expected<void> build() {
    TROUPE_TRY(read_keys());
    TROUPE_TRY(find_router());
    TROUPE_TRY(find_own_address());
    TROUPE_TRY(open_runtime());
    if (hosts("router")) TROUPE_TRY(open_router());
    if (hosts("decode")) TROUPE_TRY(open_worker(decode::setup()));
    if (hosts("prefill")) TROUPE_TRY(open_worker(prefill::setup()));
    if (hosts("draft")) TROUPE_TRY(open_draft());
    if (hosts("gateway")) TROUPE_TRY(open_gateway());
    follow_routers();
    return hosts("gateway") && !is_https() ? Expected<void>() : open_metrics();
  }

  /// One process speaks to no other.
  Expected<void> read_keys() {
    const std::string& folder = config_.text("security.keys");
    if (serves() || folder.empty()) return {};
    auto keys = security::load_keys(folder);
    if (!keys) return tl::unexpected<Error>(keys.error());
    keys_ = std::move(*keys);
    log::info("cluster ports take members only", {{"generation", keys_->current().number}, {"accepted", keys_->generations.size()}});
    return {};
  }
  /// Whether cluster ports may be open to other machines.
  [[nodiscard]] bool opens() const { return keys_ != nullptr || config_.boolean("insecure"); }
  [[nodiscard]] bool is_https() const { return !config_.text("http.tls.certificate").empty(); }

  Expected<void> open_runtime() {
    actors::RuntimeOptions options;
    options.remote = !serves();
    options.listen = config_.text("cluster.listen");
    options.advertise = advertise_;
    options.insecure = config_.boolean("insecure");
    options.keys = keys_;
    options.heartbeat = config_.duration("cluster.heartbeat");
    options.node_timeout = config_.duration("cluster.node_timeout");
    if (options.node_timeout < 2 * options.heartbeat)
      return fail(Errc::config_invalid, "cluster.node_timeout must be at least two heartbeats");
    auto made = actors::Runtime::create(options);
    if (!made) return tl::unexpected<Error>(made.error());
    runtime_ = std::move(*made);
    return {};
  }

  Expected<void> find_router() {
    if (hosts("draft")) return {};  // it is dialled, and dials nobody
    const TextList& routers = config_.list("cluster.router");
    if (!serves() && routers.empty()) TROUPE_TRY(open_roster());
    if (hosts("router")) return {};
    if (roster_) {
      const auto found = roster_->first(kRouterPatience, [this] { return signals_.stops_within(0ms); });
      if (!found) return tl::unexpected<Error>(found.error());
      router_address_ = found->front();
      other_routers_.assign(found->begin() + 1, found->end());
      return {};
    }
    if (routers.empty())
      return fail(Errc::config_invalid, "cluster.router is empty: " + role_ +
                                            " needs its router's host:port, or a Redis as cluster.directory");
    for (const std::string& text : routers) {
      TROUPE_TRY(actors::parse_host_port(text));
      const std::string address = std::string(actors::kTcp) + text;
      router_address_.empty() ? (void)(router_address_ = address) : other_routers_.push_back(address);
    }
    return {};
  }

  /// Routers that enter a Redis are found there.
  Expected<void> open_roster() {
    auto shared = open_shared_directory(config_);
    if (!shared) return tl::unexpected<Error>(shared.error());
    if (*shared)
      roster_ = std::make_unique<RouterRoster>(
          std::move(*shared), directory::kLeaseBeats * config_.duration("cluster.heartbeat"));
    return {};
  }

  void follow_routers() {
    if (!roster_) return;
    if (router_) return roster_->enter(router_address_);
    roster_->on_change([this](const std::vector<std::string>& addresses) {
      if (worker_) worker_->meet_routers(addresses);
      if (dispatcher_) dispatcher_->meet_routers(addresses);
    });
  }

  /// Nobody can dial 0.0.0.0: who listens there and names no address is reached at the one that faces its router. Nobody asks a
  /// router for its own address, so one without a name that resolves goes on.
  Expected<void> find_own_address() {
    advertise_ = config_.text("cluster.advertise");
    if (serves() || !advertise_.empty()) return {};
    const auto listen = actors::parse_host_port(config_.text("cluster.listen"));
    if (!listen) return tl::unexpected<Error>(listen.error());
    if (!actors::is_wildcard(listen->host)) return {};
    if (hosts("router") || hosts("draft")) {
      advertise_ = actors::address_of_own_name().value_or("");
      return {};
    }
    const auto router = actors::tcp_host_port(router_address_);
    if (!router) return tl::unexpected<Error>(router.error());
    auto own = actors::address_towards(*router);
    if (!own) return tl::unexpected<Error>(own.error());
    advertise_ = std::move(*own);
    return {};
  }

  Expected<void> open_router() {
    monitor_ = std::make_unique<router::RouterMonitor>(registry_);
    router::RouterOptions options;
    static_cast<router::RouterTuning&>(options) = router_tuning(config_);
    options.node = random_id<NodeId>();
    options.heartbeat = config_.duration("cluster.heartbeat");
    options.node_timeout = config_.duration("cluster.node_timeout");
    options.lease = config_.duration("cluster.lease");
    options.convert_lossy = config_.text("disagg.convert") == "lossy";
    options.planner.enabled = config_.boolean("router.planner");
    options.planner.dwell = config_.duration("router.planner_dwell");
    options.planner.prefill_queue = config_.duration("router.planner_queue");
    options.planner.itl = config_.duration("router.planner_itl");
    options.planner.arrange = config_.text("router.planner_arrangement") == "choose";
    const auto sources = router::parse_event_sources(config_.list("router.kv_events"));
    if (!sources) return tl::unexpected<Error>(sources.error());
    options.event_sources = sources->size();
    options.ask_replay = [this](std::size_t source, std::uint64_t from) { intake_.ask_replay(source, from); };
    options.clock = &clock_;
    options.on_tick = [monitor = monitor_.get()](const router::RouterState& state) {
      monitor->observe(state);
    };
    auto state = router::RouterState::create(options);
    if (!state) return tl::unexpected<Error>(state.error());
    auto role = runtime_->spawn("router", [&](const actors::RoleHandle&) { return std::move(*state); });
    if (!role) return tl::unexpected<Error>(role.error());
    router_ = *role;
    if (!sources->empty()) TROUPE_TRY(intake_.start(*sources, router_, keys_));
    router_address_ = router_.address();
    if (!serves()) log::info("router listens", {{"address", router_address_}});
    return {};
  }

  Expected<void> open_worker(worker::WorkerSetup setup) {
    TROUPE_TRY(read_data_addresses(setup));
    setup.options.node = random_id<NodeId>();
    if (hosts("decode")) TROUPE_TRY(make_draft_link());
    auto engines = load_engines(config_, std::cerr, draft_link_.get());
    if (!engines) return tl::unexpected<Error>(engines.error());
    if (draft_link_) TROUPE_TRY(draft_link_->start(*runtime_, setup.options.node));
    // As abrupt as the deaths that the cluster is built to outlive.
    if (config_.text("dashboard.operations") == "kill") setup.options.on_kill = [] { (void)std::raise(SIGKILL); };
    setup.options.kv_to_router = config_.boolean("kv_events.to_router");
    TROUPE_TRY(read_kv_events(setup));
    setup.options.router_address = router_address_;
    setup.options.other_routers = other_routers_;
    setup.options.heartbeat = config_.duration("cluster.heartbeat");
    setup.options.lease = config_.duration("cluster.lease");
    setup.options.gateway_grace = 2 * config_.duration("cluster.node_timeout");
    setup.options.conversion = conversion_of(config_.text("disagg.convert"));
    setup.shared_bytes = config_.bytes("kv.transfer_shared_bytes");
    setup.keys = keys_;
    setup.transfer_window = static_cast<std::uint32_t>(config_.integer("kv.transfer_window"));
    std::vector<worker::EngineLabels> labels;
    for (const worker::EngineSetup& each : *engines)
      labels.push_back({each.model, each.engine->stats().pages_total, config_.boolean("kv.prefix_cache")});
    const auto vllm = std::make_shared<worker::VllmMetrics>(registry_, labels);
    setup.options.on_finished = [vllm](std::size_t engine, const engine::StageTimes& times) { vllm->observe(engine, times); };
    auto made = worker::Worker::create(*runtime_, std::move(setup), std::move(*engines));
    if (!made) return tl::unexpected<Error>(made.error());
    worker_ = std::move(*made);
    worker::add_worker_metrics(registry_, [w = worker_.get()] { return w->snapshot(); }, vllm);
    return {};
  }

  /// The way to the draft services that this worker may ask; none are named: it has none.
  Expected<void> make_draft_link() {
    std::vector<std::string> services;
    for (const std::string& text : config_.list("speculation.service")) {
      if (const auto place = actors::parse_host_port(text); !place)
        return fail(Errc::config_invalid, "speculation.service: " + place.error().detail);
      services.push_back(std::string(actors::kTcp) + text);
    }
    if (services.empty()) return {};
    if (serves()) return fail(Errc::config_invalid, "speculation.service: serve speaks to no other process; decode does");
    draft_link_ = std::make_unique<draft::DraftLink>(std::move(services));
    draft::add_link_metrics(registry_, *draft_link_);
    return {};
  }

  Expected<void> open_draft() {
    auto loaded = load_draft_hosts(config_, std::cerr);
    if (!loaded) return tl::unexpected<Error>(loaded.error());
    draft::ServiceSetup setup;
    setup.options.node = random_id<NodeId>();
    setup.most_waiting = static_cast<std::size_t>(config_.integer("draft.queue"));
    auto made = draft::DraftService::create(*runtime_, std::move(setup), std::move(*loaded));
    if (!made) return tl::unexpected<Error>(made.error());
    draft_ = std::move(*made);
    draft::add_service_metrics(registry_, *draft_);
    log::info("draft service listens", {{"address", draft_->address()}});
    return {};
  }

  Expected<void> read_kv_events(worker::WorkerSetup& setup) const {
    for (const auto& [option, to] : {std::pair{"kv_events.endpoint", &setup.kv_events},
                                     std::pair{"kv_events.replay_endpoint", &setup.kv_events_replay}}) {
      const std::string& text = config_.text(option);
      if (text.empty()) continue;
      const auto listen = actors::parse_host_port(text);
      if (!listen) return tl::unexpected<Error>(listen.error());
      TROUPE_TRY(actors::check_listen(option, *listen, opens()));
      *to = std::string(actors::kTcp) + actors::format(*listen);
    }
    return {};
  }

  Expected<void> read_data_addresses(worker::WorkerSetup& setup) const {
    if (serves()) {
      setup.data_listen = std::string(actors::kLocal) + setup.role_name + "-data";
      return {};
    }
    const auto listen = actors::parse_host_port(config_.text("cluster.data_listen"));
    if (!listen) return tl::unexpected<Error>(listen.error());
    TROUPE_TRY(actors::check_listen("cluster.data_listen", *listen, opens()));
    setup.data_listen = std::string(actors::kTcp) + actors::format(*listen);
    setup.data_advertise = config_.text("cluster.data_advertise");
    if (!setup.data_advertise.empty()) return {};
    const auto given = actors::parse_host_port(advertise_);
    setup.data_advertise = given ? given->host : advertise_;
    return {};
  }

  Expected<void> open_gateway() {
    const auto resolved = resolve_models(config_.list("model"), models_folder(config_.text("models")));
    if (!resolved) return tl::unexpected<Error>(resolved.error());
    std::vector<std::pair<std::string, std::filesystem::path>> files;
    for (const ResolvedModel& model : *resolved) files.emplace_back(model.name, model.path);
    auto texts = gateway::ModelTable::load(files);
    if (!texts) return tl::unexpected<Error>(texts.error());
    gateway::ClusterDispatcherOptions options;
    options.gateway.node = random_id<NodeId>();
    options.gateway.name.clear();
    options.gateway.router_address = router_address_;
    options.gateway.other_routers = other_routers_;
    options.gateway.heartbeat = config_.duration("cluster.heartbeat");
    options.gateway.probe_after = options.gateway.probe_timeout =
        config_.duration("cluster.node_timeout") / 2;
    options.data_listen = serves() ? "local://gateway-data" : "tcp://127.0.0.1:0";
    options.keys = keys_;
    options.gateway.on_placed = [log = requests_seen_](const RequestId& id, std::string decode, std::string prefill) {
      log->placed(id, std::move(decode), std::move(prefill), std::chrono::steady_clock::now());
    };
    options.max_in_flight = most_streams(config_);
    auto made = gateway::ClusterDispatcher::create(*runtime_, options);
    if (!made) return tl::unexpected<Error>(made.error());
    dispatcher_ = std::move(*made);
    gateway::add_cluster_metrics(registry_, *dispatcher_);
    gateway::EdgeOptions edge_settings = edge_options();
    edge_settings.dashboard = dashboard_options();
    edge_settings.log = requests_seen_;
    edge_settings.instance = "gateway@" + dispatcher_->control_address();
    TROUPE_TRY(open_tracer(edge_settings));
    TROUPE_TRY(open_requests(edge_settings));
    auto edge = gateway::Edge::start(std::move(edge_settings), std::move(*texts), *dispatcher_, registry_);
    if (!edge) return tl::unexpected<Error>(edge.error());
    edge_ = std::move(*edge);
    return {};
  }

  Expected<void> open_tracer(gateway::EdgeOptions& edge) {
    trace::TracerOptions options;
    options.ratio = config_.real("trace.ratio");
    options.follow_caller = config_.boolean("trace.follow_callers");
    edge.tracer = std::make_shared<trace::Tracer>(options);
    const std::string& endpoint = config_.text("trace.otlp_endpoint");
    if (endpoint.empty()) return {};
    trace::ExporterOptions exporter;
    exporter.endpoint = endpoint;
    exporter.origin = {"gateway", edge.instance};
    auto made = trace::Exporter::create(exporter);
    if (!made) return tl::unexpected<Error>(made.error());
    exporter_ = std::move(*made);
    edge.tracer->set_sink([to = exporter_.get()](const trace::Span& span) { to->offer(span); });
    gateway::add_export_metrics(registry_, *exporter_);
    return {};
  }

  /// Where requests are recorded; nowhere with cluster.directory none. Responses are kept here then.
  Expected<void> open_requests(gateway::EdgeOptions& edge) {
    edge.response_store.time = config_.duration("responses.time");
    edge.response_store.most_bytes = config_.bytes("responses.bytes");
    if (config_.text("cluster.directory") == "none") return {};
    auto shared = open_shared_directory(config_);
    if (!shared) return tl::unexpected<Error>(shared.error());
    gateway::RequestStoreOptions options;
    options.record_time = config_.duration("request.record_time");
    options.table_bytes = config_.bytes("request.record_bytes");
    edge.requests = std::make_shared<gateway::RequestStore>(options, clock_, std::move(*shared),
                                                            gateway::RecordMetrics(registry_));
    return {};
  }

  [[nodiscard]] gateway::HttpOptions http_options() const {
    gateway::HttpOptions http;
    static_cast<gateway::HttpLimits&>(http) = edge_tuning(config_).http;
    http.address = config_.text("http.host");
    http.port = static_cast<std::uint16_t>(config_.integer("http.port"));
    http.cors_origin = config_.text("http.cors_origin");
    http.tls.certificate = config_.text("http.tls.certificate");
    http.tls.key = config_.text("http.tls.key");
    return http;
  }

  /// Whether what shows the cluster is behind a key, or on a port of its own: then it is nowhere else.
  [[nodiscard]] bool is_guarded() const {
    return hosts("gateway") && (has_admin_port() || !config_.text("gateway.api_keys").empty());
  }
  [[nodiscard]] bool has_admin_port() const { return config_.integer("admin.port") >= 0; }

  /// The API's own limits and certificate, elsewhere.
  [[nodiscard]] std::optional<gateway::HttpOptions> admin_options() const {
    if (!has_admin_port()) return std::nullopt;
    gateway::HttpOptions http = http_options();
    http.address = config_.text("admin.host");
    http.port = static_cast<std::uint16_t>(config_.integer("admin.port"));
    return http;
  }

  [[nodiscard]] gateway::DashboardOptions dashboard_options() const {
    gateway::DashboardOptions dashboard;
    const std::string& host = config_.text(has_admin_port() ? "admin.host" : "http.host");
    dashboard.console = dispatcher_.get();
    dashboard.loopback = actors::is_loopback(host);
    dashboard.benchmarks = config_.text("dashboard.benchmarks");
    const std::string& allowed = config_.text("dashboard.operations");
    const bool drains = allowed == "drain" || (allowed == "auto" && dashboard.loopback);
    dashboard.operations = allowed == "kill" ? gateway::Operations::kill
                           : drains         ? gateway::Operations::drain
                                            : gateway::Operations::none;
    return dashboard;
  }

  [[nodiscard]] gateway::BatchServiceOptions batch_options() const {
    gateway::BatchServiceOptions batches;
    batches.folder = batch_folder(config_);
    batches.required = !config_.text("gateway.batch.path").empty();
    // Half of the places stay for those who wait.
    batches.runner.schedule.most_running =
        std::min(static_cast<std::size_t>(config_.integer("gateway.batch.in_flight")),
                 std::max<std::size_t>(1, most_streams(config_) / 2));
    batches.runner.scan.lines = config_.integer("gateway.batch.lines");
    batches.files.file_bytes = static_cast<std::int64_t>(config_.bytes("gateway.batch.file_bytes"));
    batches.files.files = config_.integer("gateway.batch.files");
    batches.files.bytes = static_cast<std::int64_t>(config_.bytes("gateway.batch.bytes"));
    return batches;
  }

  [[nodiscard]] gateway::EdgeOptions edge_options() const {
    gateway::EdgeOptions options;
    options.http = http_options();
    options.text_threads = static_cast<std::size_t>(config_.integer("gateway.text_threads"));
    options.text_queue = static_cast<std::size_t>(config_.integer("gateway.text_queue"));
    options.limits.max_choices = static_cast<std::uint32_t>(config_.integer("request.max_choices"));
    const gateway::EdgeTuning tuning = edge_tuning(config_);
    options.request_deadline = tuning.request_deadline;
    static_cast<gateway::AuditTarget&>(options.audit) = tuning.audit;
    options.config_json = [this] { return live_.json(); };
    options.api_keys = config_.text("gateway.api_keys");
    options.batches = batch_options();
    options.admin = admin_options();
    if (monitor_) options.router_json = [monitor = monitor_.get()] { return monitor->state_json(); };
    return options;
  }

  /// A process without a gateway has a small port of its own, when it is asked for; so has one whose API is HTTPS, for probes and
  /// scrapers without its authority.
  Expected<void> open_metrics() {
    const std::int64_t port = config_.integer("metrics.port");
    if (port < 0) return {};
    gateway::HttpOptions http;
    http.address = config_.text("metrics.host");
    http.port = static_cast<std::uint16_t>(port);
    http.max_connections = 64;
    auto server = gateway::HttpServer::start(http, [this](const gateway::Request& request, auto writer) {
      gateway::Response response;
      response.content_type = "text/plain; charset=utf-8";
      if (request.path == "/metrics") {
        const metrics::Format format = metrics::negotiate(request.header("Accept"));
        response.content_type = metrics::content_type(format);
        response.headers.push_back({"Vary", "Accept"});
        response.body = registry_.serialize(format);
      } else if (request.path == "/healthz") {
        response.body = "ok\n";
      } else if (is_guarded() && (request.path == "/state" || request.path == "/config")) {
        response.status = 404;
        response.body = "the API's ports have it\n";
      } else if (request.path == "/state") {
        response.content_type = "application/json";
        response.body = monitor_ ? "{\"router\":" + monitor_->state_json() + "}" : "{}";
      } else if (request.path == "/config") {
        response.content_type = "application/json";
        response.body = live_.json();
      } else if (request.path == "/readyz") {
        response.status = ready() ? 200 : 503;
        response.body = ready() ? "ready\n" : "not ready\n";
      } else {
        response.status = 404;
        response.body = "there are /metrics, /state, /config, /healthz and /readyz\n";
      }
      writer->respond(std::move(response));
    });
    if (!server) return tl::unexpected<Error>(server.error());
    metrics_server_ = std::move(*server);
    log::info("metrics listen", {{"address", http.address}, {"port", metrics_server_->port()}});
    return {};
  }

  [[nodiscard]] bool ready() const {
    if (dispatcher_) return !dispatcher_->models().empty();
    if (worker_) return worker_->snapshot().counters.joined;
    return true;
  }

  void wait_until_ready() {
    while (!ready()) {
      if (!signals_.stops_within(50ms)) continue;
      stop_early_ = true;
      return;
    }
    if (edge_) {
      std::cout << "Troupe answers on http" << (is_https() ? "s" : "") << "://" << actors::format({config_.text("http.host"), edge_->port()})
                << "/v1" << std::endl;
    }
    notify_ready();
    log::info("ready", {{"role", role_}});
  }

  void drain() {
    const TimePoint deadline = std::chrono::steady_clock::now() + live_.wanted().duration("drain.deadline");
    if (edge_) {
      dispatcher_->drain();
      edge_->begin_drain();
      (void)edge_->stop(deadline - std::chrono::steady_clock::now());
      dispatcher_->abandon();
      // Sinks belong to the edge: it may go when the last one was told.
      for (int i = 0; i < 100 && dispatcher_->in_flight() != 0; ++i) std::this_thread::sleep_for(20ms);
    }
    if (worker_) {
      worker_->drain();
      while (worker_->active() != 0 && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(20ms);
      worker_->leave();
    }
    if (draft_) draft_->drain();
    // What was sent last, the end of an answer among it, leaves through another thread's socket.
    if (!serves()) std::this_thread::sleep_for(200ms);
  }

  std::string role_;
  const Config& config_;
  ProcessSignals signals_;
  bool stop_early_ = false;
  std::string router_address_;
  std::vector<std::string> other_routers_;
  std::shared_ptr<const security::ClusterKeys> keys_;  ///< null: cluster ports speak to everyone
  std::string advertise_;  ///< "" where others reach this process at the address it listens on
  SteadyClock clock_;
  metrics::Registry registry_;
  ConfigReload live_;           // what changed since `config_`
  router::EventIntake intake_;  // the router asks it for replays as long as the runtime lives
  std::unique_ptr<router::RouterMonitor> monitor_;  // and reports to this
  std::unique_ptr<actors::Runtime> runtime_;
  actors::RoleHandle router_;
  std::unique_ptr<draft::DraftService> draft_;
  std::unique_ptr<draft::DraftLink> draft_link_;  // its desks are the engines', which may outlive it
  std::unique_ptr<worker::Worker> worker_;
  const std::shared_ptr<gateway::RequestLog> requests_seen_ = std::make_shared<gateway::RequestLog>();
  std::unique_ptr<trace::Exporter> exporter_;  // runs that the dispatcher still knows may tell it of spans
  std::unique_ptr<gateway::ClusterDispatcher> dispatcher_;
  std::unique_ptr<gateway::Edge> edge_;
  std::unique_ptr<gateway::HttpServer> metrics_server_;
  std::unique_ptr<RouterRoster> roster_;  // tells the worker and the dispatcher, so it ends first
};

}  // namespace

int run_role(std::string_view role, const Config& config, std::function<Expected<Config>()> reread) {
  const auto roles = role_set(role);
  TROUPE_CHECK(roles.has_value(), role);
  if (!config.boolean("process.core_dumps")) forbid_core_dumps();
  Process process(role, *roles, config, std::move(reread));
  const auto done = process.run();
  if (done) return ok;
  std::cerr << "troupe: " << to_string(done.error()) << '\n';
  return exit_code(done.error());
}

}  // namespace troupe::cli
