#pragma once
// What every role of the cluster is: plain logic that takes messages and ticks and says what to send. It has
// no socket, thread or clock, so a test drives it message by message; the shell (runtime.hpp) gives it an
// actor.
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"
#include "common/wire/messages.hpp"

namespace troupe::actors {

/// A message and the control address it goes to: "tcp://host:port" or "local://name".
struct Outgoing {
  std::string to;
  wire::Envelope message;
};

/// Collects what a role wants to send, in order.
class Outbox {
 public:
  template <class M>
  void send(const std::string& to, const M& message, Epoch epoch = {}) {
    if (!to.empty()) messages_.push_back({to, wire::pack(message, epoch)});
  }
  [[nodiscard]] const std::vector<Outgoing>& messages() const { return messages_; }
  [[nodiscard]] std::vector<Outgoing> take() { return std::exchange(messages_, {}); }

 private:
  std::vector<Outgoing> messages_;
};

/// Threads: its owner's only. Malformed or unexpected messages are dropped and logged, never fatal.
class RoleState {
 public:
  virtual ~RoleState() = default;
  /// `from` is the sender's control address: answers go there.
  virtual void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                       Outbox& out) = 0;
  virtual void tick(TimePoint now, Outbox& out) = 0;
  /// A peer's process died, hung up or cannot be reached. It may come back under the same address.
  virtual void peer_lost(const std::string& address, TimePoint now, Outbox& out) = 0;
  /// When tick() wants to be called next; asked again after every call.
  [[nodiscard]] virtual TimePoint wake_at() const = 0;
};

}  // namespace troupe::actors
