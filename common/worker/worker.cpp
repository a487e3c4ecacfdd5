#include "common/worker/worker.hpp"

#include <algorithm>

#include "common/actors/address.hpp"
#include "common/base/log.hpp"
#include "common/kv_events/vllm_codec.hpp"

namespace troupe::worker {

Expected<std::unique_ptr<Worker>> Worker::create(actors::Runtime& runtime, WorkerSetup setup,
                                                 std::vector<EngineSetup> engines) {
  std::unique_ptr<Worker> worker(new Worker(runtime, std::move(setup)));
  TROUPE_TRY(worker->open_plane());
  TROUPE_TRY(worker->open_kv_events(engines));
  std::vector<ServedModel> models;
  for (const EngineSetup& each : engines) {
    const engine::Engine& e = *each.engine;
    models.push_back({{each.model, e.model_id(), e.context_length(), e.layers(),
                       static_cast<std::uint32_t>(e.layer_page_bytes()), each.numerics_id},
                      each.capacity,
                      e.page_format().page_tokens,
                      each.weights});
  }
  Worker* const self = worker.get();
  auto role = runtime.spawn(worker->setup_.role_name, [&](const actors::RoleHandle& handle) {
    self->role_ = handle;
    self->start_engines(std::move(engines));
    self->open_ = true;
    return self->make_state(handle, std::move(models));
  });
  if (!role) return tl::unexpected<Error>(role.error());
  return worker;
}

// The role first, so that nothing new is asked; then the engines, which use the plane; then the plane, which
// uses the engines.
Worker::~Worker() {
  if (role_) runtime_.stop(role_);
  grammars_.reset();
  for (const auto& thread : threads_) thread->stop();
  plane_.reset();
}

Expected<void> Worker::open_plane() {
  DataPlaneOptions options;
  options.listen = setup_.data_listen;
  options.window = setup_.transfer_window;
  options.shared_slots = static_cast<std::uint32_t>(setup_.shared_bytes >> 21);
  options.keys = setup_.keys;
  DataPlaneHandlers handlers;
  handlers.received = [this](const wire::Envelope& header, FramePayload payload) {
    return on_frame(header, std::move(payload));
  };
  handlers.writable = [this](const std::string&) {
    if (!open_) return;
    for (const auto& thread : threads_) thread->wake();
  };
  handlers.refused = [this](const TransferId& transfer) {
    fail_transfer(transfer, "the receiver refused a frame");
  };
  handlers.lost = [this](const std::string&, const std::vector<TransferId>& transfers) {
    for (const TransferId& transfer : transfers)
      fail_transfer(transfer, "the receiver acknowledges nothing");
    if (open_)
      for (const auto& thread : threads_) thread->wake();
  };
  auto plane = DataPlane::create(options, std::move(handlers));
  if (!plane) return tl::unexpected<Error>(plane.error());
  plane_ = std::move(*plane);
  return {};
}

Expected<void> Worker::open_kv_events(const std::vector<EngineSetup>& engines) {
  if (setup_.kv_events.empty()) return {};
  const auto endpoint = [](const std::string& first, std::size_t engine) {
    auto place = actors::tcp_host_port(first);
    if (!place || place->port == 0) return first;
    place->port = static_cast<std::uint16_t>(place->port + engine);
    return std::string(actors::kTcp) + actors::format(*place);
  };
  for (std::size_t i = 0; i < engines.size(); ++i) {
    EventSenderOptions options;
    options.endpoint = endpoint(setup_.kv_events, i);
    options.replay_endpoint = endpoint(setup_.kv_events_replay, i);
    options.topic = "kv@" + to_hex(setup_.options.node) + "@" + engines[i].model;
    options.keys = setup_.keys;
    auto sender = EventSender::create(options);
    if (!sender) return tl::unexpected<Error>(sender.error());
    log::info("KV events", {{"model", engines[i].model},
                            {"address", (*sender)->address()},
                            {"replays", (*sender)->replay_address()}});
    senders_.push_back(std::move(*sender));
  }
  return {};
}

/// On the role's actor.
void Worker::publish_kv_events(std::size_t engine, kv_events::EventBatch batch) {
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  last_event_ = std::max(now, last_event_ + 1e-6);  // subscribers tell epochs apart by it
  batch.timestamp = last_event_;
  senders_[engine]->publish(kv_events::encode(batch));
}

void Worker::start_engines(std::vector<EngineSetup> engines) {
  EngineThreadOptions options;
  std::vector<std::shared_ptr<const grammar::TokenTrie>> vocabularies;
  for (EngineSetup& each : engines) vocabularies.push_back(std::move(each.vocabulary));
  grammars_ = std::make_unique<GrammarDesk>(std::move(vocabularies), [this](std::size_t engine, Command command) {
    (void)threads_[engine]->post(std::move(command));
  });
  options.buffers = [this](const std::string& host, std::size_t capacity) { return plane_->buffer(host, capacity); };
  for (std::size_t i = 0; i < engines.size(); ++i) {
    threads_.push_back(std::make_unique<EngineThread>(
        std::move(engines[i].engine),
        [this](const std::string& address, const wire::Envelope& header, const RequestId& request,
               FramePayload payload) { return plane_->send(address, header, request, std::move(payload)); },
        [this, i](ReportBatch batch) {
          auto held = std::make_shared<ReportBatch>(std::move(batch));  // posted work is copyable
          post_state([i, held](WorkerState& state, TimePoint now, actors::Outbox& out) {
            state.on_reports(i, std::move(*held), now, out);
          });
        },
        options));
  }
}

std::unique_ptr<WorkerState> Worker::make_state(const actors::RoleHandle& self,
                                                std::vector<ServedModel> models) {
  WorkerOptions options = setup_.options;
  snapshot_.role = options.role;  // nobody looks before this worker is made
  options.control_address = self.address();
  options.data_address = plane_->address();
  options.host = plane_->host();
  if (const auto bound = actors::tcp_host_port(plane_->address()); bound && !setup_.data_advertise.empty()) {
    const auto given = actors::parse_host_port(setup_.data_advertise);
    actors::HostPort reach = given ? *given : actors::HostPort{setup_.data_advertise, 0};
    if (reach.port == 0) reach.port = bound->port;
    options.data_address = std::string(actors::kTcp) + actors::format(reach);
  }
  if (options.name.empty())
    options.name = (options.role == wire::Role::prefill ? "prefill@" : "decode@") + self.address();
  if (!senders_.empty())
    options.kv_sink = [this](std::size_t engine, kv_events::EventBatch batch) {
      publish_kv_events(engine, std::move(batch));
    };
  options.on_tick = [this](const WorkerState& state) {
    const std::lock_guard lock(mutex_);
    snapshot_.role = state.role();
    snapshot_.counters = state.counters();
    snapshot_.stats = state.stats();
  };
  return std::make_unique<WorkerState>(std::move(options), std::move(models), *this);
}

/// On the data plane's thread: decides at once and hands over.
bool Worker::on_frame(const wire::Envelope& header, FramePayload payload) {
  if (!open_) return false;
  if (header.type == wire::kPromptFrameNumber) {
    const auto frame = wire::unpack<wire::PromptFrame>(header);
    if (!frame) return false;
    post_state([frame = *frame, payload](WorkerState& state, TimePoint now, actors::Outbox& out) {
      state.on_prompt(frame, payload, now, out);
    });
    return true;
  }
  auto frame = wire::unpack<wire::KvFrame>(header);
  if (!frame) return false;
  const auto wanted = imports_.find(*frame);
  if (!wanted) return false;
  return threads_[wanted->engine]->post(
      ImportFrame{wanted->engine_id, std::move(*frame), std::move(payload)});
}

void Worker::fail_transfer(const TransferId& transfer, const char* why) {
  if (!open_) return;
  for (const auto& thread : threads_)
    (void)thread->post(FailTransfer{transfer, {Errc::transfer_failed, why}});
}

void Worker::post_state(std::function<void(WorkerState&, TimePoint, actors::Outbox&)> work) const {
  role_.post([work = std::move(work)](actors::RoleState& state, TimePoint now, actors::Outbox& out) {
    work(dynamic_cast<WorkerState&>(state), now, out);
  });
}

std::uint64_t Worker::progress() const {
  std::uint64_t sum = 0;
  for (const auto& thread : threads_) sum += thread->progress();
  return sum;
}

bool Worker::busy() const {
  return std::any_of(threads_.begin(), threads_.end(), [](const auto& thread) { return thread->busy(); });
}

void Worker::drain() {
  post_state([](WorkerState& state, TimePoint now, actors::Outbox& out) { state.drain(now, out); });
}

void Worker::leave() {
  post_state([](WorkerState& state, TimePoint, actors::Outbox& out) { state.leave(out); });
}

void Worker::meet_routers(const std::vector<std::string>& addresses) {
  post_state(
      [addresses](WorkerState& state, TimePoint now, actors::Outbox&) { state.meet_routers(addresses, now); });
}

std::size_t Worker::active() const {
  // A state that does not answer counts as working: the caller's own deadline decides.
  return role_
      .ask<std::size_t>([](actors::RoleState& state) { return dynamic_cast<WorkerState&>(state).active(); },
                        std::chrono::seconds(1))
      .value_or(1);
}

WorkerSnapshot Worker::snapshot() const {
  WorkerSnapshot out;
  {
    const std::lock_guard lock(mutex_);
    out = snapshot_;
  }
  out.plane = plane_->stats();
  out.stale_frames = imports_.stale();
  out.handshakes_refused = out.plane.handshakes_refused;
  for (const auto& sender : senders_) out.handshakes_refused += sender->handshakes_refused();
  return out;
}

}  // namespace troupe::worker
