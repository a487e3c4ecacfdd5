#pragma once
// The actors of one process (CAF wall). A role's state is handed over and runs inside an actor of its own;
// others reach it by posting jobs, peers by its control address. Remote peers are dialled when first written
// to, probed before, monitored, and dialled again with a growing pause; what cannot be delivered is dropped
// and told to the state as peer_lost().
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "common/actors/role_state.hpp"
#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/security/key_folder.hpp"

namespace troupe::actors {

struct RuntimeOptions {
  bool remote = false;                 ///< speak to other processes; otherwise local:// addresses only
  std::string listen = "127.0.0.1:0";  ///< host:port of the first remote role; further ones take free ports
  std::string advertise;               ///< host[:port] others use; empty: `listen`
  bool insecure = false;               ///< allow `listen` beyond loopback without keys
  /// TLS with the certificate of the generation in use, for those whose certificate an accepted authority has signed. Null: plain TCP.
  std::shared_ptr<const security::ClusterKeys> keys = nullptr;
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration node_timeout = std::chrono::seconds(2);
  unsigned threads = 2;  ///< actors never compute, so few are enough
};

/// A running role. Copies refer to the same one. Threads: any.
class RoleHandle {
 public:
  using Work = std::function<void(RoleState&, TimePoint now, Outbox&)>;
  struct Impl;
  RoleHandle() = default;
  explicit RoleHandle(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  /// Runs `work` on the state, inside the actor, after what was posted before. Never blocks. After stop() it
  /// is dropped.
  void post(Work work) const;
  [[nodiscard]] const std::string& address() const;
  /// Asks the state from another thread (never from an actor) and waits; nothing when it does not answer in
  /// time.
  template <class R>
  [[nodiscard]] std::optional<R> ask(std::function<R(RoleState&)> question, Duration timeout) const {
    auto answer = std::make_shared<std::promise<R>>();  // shared: posted work is copyable
    auto future = answer->get_future();
    post([answer, question = std::move(question)](RoleState& state, TimePoint, Outbox&) {
      answer->set_value(question(state));
    });
    if (future.wait_for(timeout) != std::future_status::ready) return std::nullopt;
    return future.get();
  }
  [[nodiscard]] explicit operator bool() const { return impl_ != nullptr; }

 private:
  std::shared_ptr<Impl> impl_;
};

class Runtime {
 public:
  /// Errors: config_invalid (a listen address beyond loopback with neither `keys` nor `insecure`).
  [[nodiscard]] static Expected<std::unique_ptr<Runtime>> create(const RuntimeOptions& options);
  virtual ~Runtime() = default;

  /// Makes the state in this thread and starts its actor. `self` is the role to be: its address is known, and
  /// what is posted to it runs once it has started. `name` is unique in the process. Errors: address_in_use.
  using MakeState = std::function<std::unique_ptr<RoleState>(const RoleHandle& self)>;
  [[nodiscard]] virtual Expected<RoleHandle> spawn(const std::string& name, const MakeState& make) = 0;
  /// Ends a role: its state is destroyed before this returns. Jobs still queued are dropped. Not from an
  /// actor.
  virtual void stop(const RoleHandle& role) = 0;
};

}  // namespace troupe::actors
