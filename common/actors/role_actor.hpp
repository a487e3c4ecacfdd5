#pragma once
// The shell of every role: one actor that owns a RoleState, feeds it mail, jobs and ticks, and delivers what
// it returns.
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <caf/all.hpp>

#include "common/actors/role_state.hpp"
#include "common/actors/type_ids.hpp"

namespace troupe::actors {

/// The roles of one process by local:// address. Threads: any.
class LocalDirectory {
 public:
  void put(const std::string& address, caf::strong_actor_ptr handle) {
    const std::lock_guard lock(mutex_);
    roles_[address] = std::move(handle);
  }
  void erase(const std::string& address) {
    const std::lock_guard lock(mutex_);
    roles_.erase(address);
  }
  [[nodiscard]] caf::strong_actor_ptr find(const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = roles_.find(address);
    return found == roles_.end() ? nullptr : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, caf::strong_actor_ptr> roles_;
};

class RoleActor : public caf::event_based_actor {
 public:
  /// `prober` may be empty when the process speaks to no other.
  RoleActor(caf::actor_config& config, const caf::actor& prober, std::shared_ptr<LocalDirectory> directory);
  ~RoleActor() override;

 protected:
  caf::behavior make_behavior() override;
  void on_exit() override;

 private:
  struct Peer {
    caf::strong_actor_ptr handle;
    bool dialling = false;
    TimePoint retry_at{};
    std::chrono::milliseconds pause{100};
    std::deque<wire::Envelope> waiting;  ///< until the dial answers; bounded
  };

  void start(std::unique_ptr<RoleState> state, std::string address);
  void on_mail(Mail& mail);
  void on_down(const caf::down_msg& down);
  void on_dialled(const DialResult& result);
  void flush(Outbox& out);
  void deliver(const std::string& to, wire::Envelope envelope, std::vector<std::string>& unreachable);
  void send_to(const Peer& peer, wire::Envelope envelope);
  void learn(const std::string& address, const caf::strong_actor_ptr& handle);
  void schedule();
  [[nodiscard]] bool make_room();

  caf::actor_addr prober_;  // weak: a system waits for its detached actors, so none may outlive the Runtime
  std::shared_ptr<LocalDirectory> directory_;  // shared with the Runtime and every other role of the process
  std::unique_ptr<RoleState> state_;
  std::string address_;
  std::map<std::string, Peer> peers_;
  TimePoint wake_at_ = TimePoint::max();
  std::uint64_t wake_number_ = 0;
};

/// First message of a RoleActor.
struct StartRole {
  std::shared_ptr<std::unique_ptr<RoleState>> state;  // shared: CAF messages are copyable
  std::string address;
};

}  // namespace troupe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::StartRole)
