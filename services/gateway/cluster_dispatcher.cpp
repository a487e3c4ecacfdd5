#include "services/gateway/cluster_dispatcher.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "services/gateway/tenant_shares.hpp"

namespace troupe::gateway {
namespace {

/// What the edge's threads may read while the actor works.
struct Shared {
  explicit Shared(std::size_t max_in_flight) : choices(max_in_flight) {}
  mutable std::mutex mutex;
  std::vector<ServedModel> models;
  GatewayCounters counters;
  std::shared_ptr<const ClusterPicture> picture = std::make_shared<ClusterPicture>();
  std::atomic<bool> joined{false};
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> requests{0};
  TenantShares choices;
};

/// Counts a request as in flight until its sink is let go, however it ends.
class CountedSink final : public AnswerSink {
 public:
  CountedSink(std::shared_ptr<AnswerSink> sink, std::shared_ptr<Shared> shared, const GenerateJob& job)
      : sink_(std::move(sink)), shared_(std::move(shared)), tenant_(job.tenant), choices_(job.choices) {}
  ~CountedSink() override {
    shared_->requests -= 1;
    shared_->choices.leave(tenant_, choices_);
  }
  void on_start(AnswerStart start) override { sink_->on_start(std::move(start)); }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    sink_->on_tokens(choice, tokens, finish);
  }
  void on_drafted(std::uint32_t choice, std::uint32_t count) override { sink_->on_drafted(choice, count); }
  void on_score(std::uint32_t choice, double score) override { sink_->on_score(choice, score); }
  void on_vector(std::vector<float> vector) override { sink_->on_vector(std::move(vector)); }
  void on_done(const DraftUsage& drafts) override { sink_->on_done(drafts); }
  void on_error(const Error& error) override { sink_->on_error(error); }

 private:
  std::shared_ptr<AnswerSink> sink_;
  std::shared_ptr<Shared> shared_;  // outlived by nobody: sinks may be let go after the dispatcher
  std::string tenant_;
  std::size_t choices_;
};

class Cluster final : public ClusterDispatcher {
 public:
  Cluster(actors::Runtime& runtime, const ClusterDispatcherOptions& options)
      : runtime_(runtime), options_(options), shared_(std::make_shared<Shared>(options.max_in_flight)) {}
  ~Cluster() override {
    if (role_) runtime_.stop(role_);
  }

  Expected<void> open() {
    DataPlaneOptions plane;
    plane.listen = options_.data_listen;
    plane.keys = options_.keys;
    DataPlaneHandlers handlers;
    handlers.received = [](const wire::Envelope&, FramePayload) {
      return false;
    };                                              // nobody sends to a gateway
    handlers.writable = [](const std::string&) {};  // the state tries again by its clock
    handlers.refused = [](const TransferId&) {};    // the worker's silence tells
    handlers.lost = [](const std::string&, const std::vector<TransferId>&) {};
    auto made = DataPlane::create(plane, std::move(handlers));
    if (!made) return tl::unexpected<Error>(made.error());
    plane_ = std::move(*made);
    auto role = runtime_.spawn(options_.name, [this](const actors::RoleHandle& self) {
      GatewayOptions gateway = options_.gateway;
      gateway.control_address = self.address();
      if (gateway.name.empty()) gateway.name = "gateway@" + self.address();
      gateway.on_tick = [shared = shared_](const GatewayState& state) {
        const std::lock_guard lock(shared->mutex);
        shared->counters = state.counters();
        shared->joined = state.joined();
      };
      gateway.on_picture = [shared = shared_](std::shared_ptr<const ClusterPicture> picture) {
        const std::lock_guard lock(shared->mutex);
        shared->picture = std::move(picture);
      };
      return std::make_unique<GatewayState>(
          std::move(gateway),
          [plane = plane_.get()](const std::string& to, const wire::Envelope& header,
                                 const RequestId& request, FramePayload payload) {
            return plane->send(to, header, request, std::move(payload));
          },
          [shared = shared_](const std::vector<ServedModel>& models) {
            const std::lock_guard lock(shared->mutex);
            shared->models = models;
          });
    });
    if (!role) return tl::unexpected<Error>(role.error());
    role_ = *role;
    return {};
  }

  Expected<void> start(GenerateJob job, std::shared_ptr<AnswerSink> sink) override {
    if (shared_->draining) return fail(Errc::draining, "the gateway takes nothing new");
    if (!knows(job.model))
      return fail(Errc::model_not_found, "no worker serves a model named \"" + job.model + "\"");
    TROUPE_TRY(shared_->choices.enter(job.tenant, job.choices));
    shared_->requests += 1;
    auto counted = std::make_shared<CountedSink>(std::move(sink), shared_, job);
    auto held = std::make_shared<GenerateJob>(std::move(job));  // posted work is copyable
    post([held, counted](GatewayState& state, TimePoint now, actors::Outbox& out) {
      state.start(std::move(*held), counted, now, out);
    });
    return {};
  }

  void cancel(const RequestId& id) override {
    post([id](GatewayState& state, TimePoint now, actors::Outbox& out) { state.cancel(id, now, out); });
  }

  std::vector<ServedModel> models() const override {
    std::vector<ServedModel> ready;
    const std::lock_guard lock(shared_->mutex);
    for (const ServedModel& model : shared_->models)
      if (model.ready_workers != 0) ready.push_back(model);
    return ready;
  }

  std::size_t in_flight() const override { return shared_->requests; }
  void drain() override { shared_->draining = true; }
  void abandon() override {
    drain();
    post([](GatewayState& state, TimePoint now, actors::Outbox& out) {
      state.fail_all({Errc::draining, "the gateway stops"}, now, out);
      state.leave(out);
    });
  }
  void meet_routers(const std::vector<std::string>& addresses) override {
    post([addresses](GatewayState& state, TimePoint, actors::Outbox&) { state.meet_routers(addresses); });
  }
  void set_max_in_flight(std::size_t choices) override { shared_->choices.set_limit(choices); }
  void watch() override {
    post([](GatewayState& state, TimePoint, actors::Outbox& out) { state.watch(out); });
  }
  std::shared_ptr<const ClusterPicture> picture() const override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->picture;
  }
  Expected<void> operate(const std::string& worker, wire::Operation operation) override {
    const auto seen = picture();
    for (const wire::ClusterReport::Row& row : seen->nodes) {
      if (row.name != worker || (row.role != wire::Role::decode && row.role != wire::Role::prefill)) continue;
      post([node = row.node, to = row.control_address, operation](GatewayState&, TimePoint, actors::Outbox& out) {
        GatewayState::operate(node, to, operation, out);
      });
      return {};
    }
    return fail(Errc::not_found, "no worker \"" + worker + "\" is in the cluster");
  }
  GatewayCounters counters() const override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->counters;
  }
  bool joined() const override { return shared_->joined; }
  std::uint64_t handshakes_refused() const override { return plane_->stats().handshakes_refused; }
  const std::string& control_address() const override { return role_.address(); }

 private:
  void post(std::function<void(GatewayState&, TimePoint, actors::Outbox&)> work) const {
    role_.post([work = std::move(work)](actors::RoleState& state, TimePoint now, actors::Outbox& out) {
      auto& gateway = dynamic_cast<GatewayState&>(state);
      work(gateway, now, out);
    });
  }
  bool knows(const std::string& model) const {
    const std::lock_guard lock(shared_->mutex);
    return std::any_of(shared_->models.begin(), shared_->models.end(),
                       [&](const ServedModel& m) { return m.name == model; });
  }

  actors::Runtime& runtime_;
  ClusterDispatcherOptions options_;
  std::shared_ptr<Shared> shared_;  // also held by sinks and by work that is still posted
  std::unique_ptr<DataPlane> plane_;
  actors::RoleHandle role_;
};

}  // namespace

Expected<std::unique_ptr<ClusterDispatcher>> ClusterDispatcher::create(
    actors::Runtime& runtime, const ClusterDispatcherOptions& options) {
  auto cluster = std::make_unique<Cluster>(runtime, options);
  TROUPE_TRY(cluster->open());
  return std::unique_ptr<ClusterDispatcher>(std::move(cluster));
}

}  // namespace troupe::gateway
