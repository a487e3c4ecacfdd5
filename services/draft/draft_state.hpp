#pragma once
// What a draft service decides: whose orders go to which host, and who hears what came of them. It keeps no
// text: hosts do, and their sessions are a cache, so that a service may die at any time.
//
//   decode worker ── DraftAsk ──> DraftState ── HostOrder ──> DraftThread: DraftHost
//   decode worker <── DraftProposal ── DraftState <── HostReport ──┘      (one pass for all workers' orders)
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/actors/role_state.hpp"
#include "common/wire/draft_messages.hpp"
#include "services/draft/draft_thread.hpp"

namespace troupe::draft {

/// The way to the hosts. Must not block.
class HostDoor {
 public:
  virtual ~HostDoor() = default;
  /// false: too much waits there.
  [[nodiscard]] virtual bool post(std::size_t host, HostCommand command) = 0;
};

struct ServiceOptions {
  NodeId node;
  std::string name;
  std::size_t max_clients = 1024;                               ///< decode workers that are answered
  std::function<void(const class DraftState&)> on_change = {};  ///< after each call, for those who only look
};

struct ServiceCounters {
  std::uint64_t asks = 0;     ///< messages with orders
  std::uint64_t refused = 0;  ///< orders that no host was asked for
  std::uint64_t malformed = 0;
  std::uint64_t clients = 0;  ///< now
};

/// Threads: its owner's.
class DraftState final : public actors::RoleState {
 public:
  /// `vocabularies`: of the door's hosts, in their order.
  DraftState(ServiceOptions options, std::vector<VocabularyId> vocabularies, HostDoor& door);

  void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
               actors::Outbox& out) override;
  void tick(TimePoint now, actors::Outbox& out) override;
  void peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) override;
  [[nodiscard]] TimePoint wake_at() const override { return TimePoint::max(); }

  void on_report(std::size_t host, HostReport report, actors::Outbox& out);
  /// Takes no more orders, and says so to those who order.
  void drain(actors::Outbox& out);

  [[nodiscard]] ServiceCounters counters() const;
  [[nodiscard]] const std::vector<HostStats>& stats() const { return stats_; }

 private:
  void on_ask(const std::string& from, wire::DraftAsk ask, TimePoint now, actors::Outbox& out);
  void on_forget(const wire::DraftForget& message);
  [[nodiscard]] wire::DraftOffer offer(std::uint64_t number) const;
  [[nodiscard]] std::size_t host_of(const VocabularyId& vocabulary) const;
  void changed() const;

  const ServiceOptions options_;
  const std::vector<VocabularyId> vocabularies_;
  HostDoor& door_;
  std::vector<HostStats> stats_;
  std::map<NodeId, std::string> clients_;  ///< where each is answered
  bool draining_ = false;
  ServiceCounters counters_;
};

}  // namespace troupe::draft
