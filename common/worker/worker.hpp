#pragma once
// A running worker: its role in the runtime, a thread per engine, and its data plane.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/actors/runtime.hpp"
#include "common/transport/event_sockets.hpp"
#include "common/worker/engine_thread.hpp"
#include "common/worker/grammar_desk.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {

struct WorkerSetup {
  WorkerOptions options;       ///< addresses are filled in; an empty name becomes "<role>@<address>"
  std::string role_name;       ///< unique in the process
  std::string data_listen;     ///< "tcp://host:port" or "local://name"
  std::string data_advertise;  ///< host[:port] others use for it; empty: as listened on
  std::uint32_t transfer_window = 4;
  std::uint64_t shared_bytes = 32u << 20;  ///< for frames that others of this host read in place; 0: none
  /// KV events for other routers: "tcp://host:port" each, further engines take the next ports (port 0: any).
  /// Empty: none.
  std::string kv_events, kv_events_replay;
  std::shared_ptr<const security::ClusterKeys> keys = nullptr;  ///< of data and event ports; null: everybody is answered
};

struct EngineSetup {
  std::string model;  ///< as clients name it
  std::string numerics_id;
  std::uint32_t capacity = 0;  ///< running and waiting sequences
  std::unique_ptr<engine::Engine> engine;
  ModelId weights = {};  ///< whatever numbers the engine computes with
  std::shared_ptr<const grammar::TokenTrie> vocabulary = nullptr;  ///< null: answers of a given form are refused
};

/// What others may look at; at most a heartbeat old but for the plane's numbers.
struct WorkerSnapshot {
  wire::Role role = wire::Role::decode;  ///< now
  WorkerCounters counters;
  std::vector<engine::EngineStats> stats;
  DataPlaneStats plane;
  std::uint64_t stale_frames = 0;  ///< refused: their reservation is gone
  std::uint64_t handshakes_refused = 0;  ///< at data and event ports: peers without the keys
};

/// Threads: any, but for create and the destructor.
class Worker final : public EngineDoor {
 public:
  /// Errors: address_in_use, invalid_argument. `runtime` must outlive it.
  [[nodiscard]] static Expected<std::unique_ptr<Worker>> create(actors::Runtime& runtime, WorkerSetup setup,
                                                                std::vector<EngineSetup> engines);
  ~Worker() override;

  void drain();
  /// Tells the router; nothing is sent afterwards.
  void leave();
  /// WorkerState::meet_routers. Threads: any.
  void meet_routers(const std::vector<std::string>& addresses);
  /// Streams and prefills that are not over. Not from an actor.
  [[nodiscard]] std::size_t active() const;
  [[nodiscard]] WorkerSnapshot snapshot() const;
  [[nodiscard]] const std::string& control_address() const { return role_.address(); }
  [[nodiscard]] const std::string& data_address() const { return plane_->address(); }
  /// One per engine; none without WorkerSetup::kv_events.
  [[nodiscard]] const std::vector<std::unique_ptr<EventSender>>& kv_event_senders() const { return senders_; }

  void post(std::size_t engine, Command command) override {
    if (!grammars_->take(engine, command)) (void)threads_[engine]->post(std::move(command));
  }
  [[nodiscard]] std::uint64_t progress() const override;
  [[nodiscard]] bool busy() const override;
  [[nodiscard]] ImportTable& imports() override { return imports_; }
  [[nodiscard]] SendResult send(const std::string& address, const wire::Envelope& header,
                                const RequestId& request, FramePayload payload) override {
    return plane_->send(address, header, request, std::move(payload));
  }
  void drop_frames(const RequestId& request) override { plane_->drop(request); }

 private:
  Worker(actors::Runtime& runtime, WorkerSetup setup) : runtime_(runtime), setup_(std::move(setup)) {}
  Expected<void> open_plane();
  Expected<void> open_kv_events(const std::vector<EngineSetup>& engines);
  void publish_kv_events(std::size_t engine, kv_events::EventBatch batch);
  void start_engines(std::vector<EngineSetup> engines);
  [[nodiscard]] std::unique_ptr<WorkerState> make_state(const actors::RoleHandle& self,
                                                        std::vector<ServedModel> models);
  bool on_frame(const wire::Envelope& header, FramePayload payload);
  void fail_transfer(const TransferId& transfer, const char* why);
  void post_state(std::function<void(WorkerState&, TimePoint, actors::Outbox&)> work) const;

  actors::Runtime& runtime_;
  WorkerSetup setup_;
  ImportTable imports_;
  std::unique_ptr<DataPlane> plane_;
  std::vector<std::unique_ptr<EngineThread>> threads_;
  std::unique_ptr<GrammarDesk> grammars_;
  std::vector<std::unique_ptr<EventSender>> senders_;
  double last_event_ = 0;  // the actor's: seconds since 1970, rising
  actors::RoleHandle role_;
  std::atomic<bool> open_{false};  // role_ and threads_ are set: frames may be taken
  mutable std::mutex mutex_;
  WorkerSnapshot snapshot_;
};

}  // namespace troupe::worker
