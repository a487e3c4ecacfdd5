#pragma once
// The decode worker's half of drafting elsewhere: carries orders from its engines' desks to draft services
// and their answers back. Engines never wait: what is late, or whose service is gone, is answered here with
// `refused`.
//
//   engine ── DraftDesk ── on_orders() ── DraftAsk ──> draft service
//   engine ── DraftDesk <── put() ── DraftProposal <──┘   Ping ──> DraftOffer: who is there, and for which
//   vocabularies
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/actors/role_state.hpp"
#include "common/draft/draft_desk.hpp"
#include "common/wire/draft_messages.hpp"

namespace troupe::draft {

struct ClientOptions {
  NodeId node;
  std::vector<std::string> services;  ///< control addresses
  Duration deadline = std::chrono::milliseconds(
      250);  ///< of an order: services get three quarters of it, and the wire the rest
  Duration probe =
      std::chrono::milliseconds(500);  ///< between questions to a service; four unanswered ones: it is gone
  std::function<void(const class DraftClient&)> on_change = {};  ///< after each call, for those who only look
};

struct ClientStats {
  std::uint64_t orders = 0, answers = 0, guesses = 0;  ///< answers with guesses
  std::uint64_t lost = 0, refused = 0;                 ///< told by services
  std::uint64_t late = 0;                              ///< orders that were not answered in time
  std::uint64_t stale = 0;                             ///< answers to what nobody waits for any more
  std::uint64_t malformed = 0;
  std::uint32_t services = 0;  ///< that can be asked now
};

/// Where one engine's orders lie.
struct Desk {
  VocabularyId vocabulary;
  std::shared_ptr<DraftDesk> desk;  // shared with the engine's drafter
};

/// Threads: its owner's.
class DraftClient final : public actors::RoleState {
 public:
  DraftClient(ClientOptions options, std::vector<Desk> desks);
  ~DraftClient() override;

  void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
               actors::Outbox& out) override;
  void tick(TimePoint now, actors::Outbox& out) override;
  void peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) override;
  [[nodiscard]] TimePoint wake_at() const override { return wake_at_; }
  /// A desk rang.
  void on_orders(TimePoint now, actors::Outbox& out);

  [[nodiscard]] ClientStats stats() const;

 private:
  struct Link {
    std::string address;   ///< as configured
    std::string known_as;  ///< as it signs its mail
    NodeId node;           ///< of this incarnation
    bool up = false, draining = false;
    std::vector<VocabularyId> vocabularies;
    TimePoint heard{};
  };
  struct Pending {
    std::uint32_t round = 0;
    std::size_t link = 0;
    TimePoint sent{}, deadline{};
  };
  using Session = std::uint64_t;  ///< desk and sequence, as on the wire

  [[nodiscard]] static Session session_of(std::size_t desk, speculation::SequenceNumber sequence);
  [[nodiscard]] Link* link_of(const std::string& from);
  [[nodiscard]] bool serves(const Link& link, const Desk& desk) const;
  [[nodiscard]] std::optional<std::size_t> choose(const Desk& desk) const;
  void carry(std::size_t desk, TimePoint now, actors::Outbox& out);
  void forget(std::size_t desk, const std::vector<speculation::SequenceNumber>& sequences,
              actors::Outbox& out);
  void send(std::size_t desk, std::size_t link, std::vector<speculation::DraftOrder> orders, TimePoint now,
            actors::Outbox& out);
  void answer(Session session, speculation::DraftAnswer answer);
  void on_proposal(const std::string& from, wire::DraftProposal message, TimePoint now);
  void on_offer(const std::string& from, wire::DraftOffer message, TimePoint now);
  void put_down(std::size_t link);
  void open_desks();
  void expire(TimePoint now);
  void changed() const;

  const ClientOptions options_;
  std::vector<Desk> desks_;
  std::vector<Link> links_;
  std::map<Session, Pending> pending_;
  std::map<Session, std::size_t> placed_;  ///< the link that holds the session, for its end
  std::uint32_t pings_ = 0;
  TimePoint next_probe_{}, wake_at_{};
  ClientStats stats_;
};

}  // namespace troupe::draft
