#include "services/draft/draft_state.hpp"

#include <algorithm>

#include "common/actors/delivery.hpp"

namespace troupe::draft {
namespace {

using speculation::DraftAnswer;

/// Answers in one message: with kMostWanted guesses each it stays under kMaxControlBytes.
constexpr std::size_t kMostEntries = 32;

wire::DraftProposal::Entry entry_of(const HostAnswer& one) {
  wire::DraftProposal::Entry entry;
  entry.session = one.session.session;
  entry.round = one.answer.round;
  entry.outcome = one.answer.kind == DraftAnswer::Kind::drafted ? wire::DraftOutcome::drafted
                  : one.answer.kind == DraftAnswer::Kind::lost  ? wire::DraftOutcome::lost
                                                                : wire::DraftOutcome::refused;
  entry.position = one.answer.position;
  for (const speculation::Guess& guess : one.answer.guesses) {
    entry.tokens.push_back(guess.token);
    entry.confidence.push_back(guess.confidence);
    entry.second.push_back(guess.second);
    entry.second_confidence.push_back(guess.second_confidence);
  }
  return entry;
}

}  // namespace

DraftState::DraftState(ServiceOptions options, std::vector<VocabularyId> vocabularies, HostDoor& door)
    : options_(std::move(options)),
      vocabularies_(std::move(vocabularies)),
      door_(door),
      stats_(vocabularies_.size()) {}

void DraftState::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                         actors::Outbox& out) {
  actors::Delivery delivery("draft", from, message, counters_.malformed);
  delivery.on<wire::DraftAsk>([&](wire::DraftAsk m) { on_ask(from, std::move(m), now, out); });
  delivery.on<wire::DraftForget>([&](const wire::DraftForget& m) { on_forget(m); });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, offer(m.number)); });
  delivery.end();
  changed();
}

void DraftState::tick(TimePoint, actors::Outbox&) {
  changed();
}

/// Its process is gone: nobody will go on with its sessions.
void DraftState::peer_lost(const std::string& address, TimePoint, actors::Outbox&) {
  for (auto it = clients_.begin(); it != clients_.end();) {
    if (it->second != address) {
      ++it;
      continue;
    }
    // One that is not taken leaves sessions that end with their leases.
    for (std::size_t host = 0; host < vocabularies_.size(); ++host)
      (void)door_.post(host, ForgetClient{it->first});
    it = clients_.erase(it);
  }
  changed();
}

wire::DraftOffer DraftState::offer(std::uint64_t number) const {
  return {number, options_.node, vocabularies_, draining_};
}

/// vocabularies_.size(): no host has it.
std::size_t DraftState::host_of(const VocabularyId& vocabulary) const {
  return static_cast<std::size_t>(std::find(vocabularies_.begin(), vocabularies_.end(), vocabulary) -
                                  vocabularies_.begin());
}

void DraftState::on_ask(const std::string& from, wire::DraftAsk ask, TimePoint now, actors::Outbox& out) {
  ++counters_.asks;
  const std::size_t host = host_of(ask.vocabulary);
  const bool known = clients_.contains(ask.node) || clients_.size() < options_.max_clients;
  const bool takes = !draining_ && host < vocabularies_.size() && known;
  if (takes) clients_[ask.node] = from;
  wire::DraftProposal refusals;
  for (wire::DraftAsk::Entry& entry : ask.entries) {
    HostOrder order;
    order.session = {ask.node, entry.session};
    order.round = entry.round;
    order.held = entry.held;
    order.held_hash = entry.held_hash;
    order.tokens = std::move(entry.tokens);
    order.wanted = entry.wanted;
    if (ask.deadline_ms != 0) order.deadline = now + std::chrono::milliseconds(ask.deadline_ms);
    if (takes && door_.post(host, std::move(order))) continue;
    ++counters_.refused;
    wire::DraftProposal::Entry refusal;
    refusal.session = entry.session;
    refusal.round = entry.round;
    refusal.outcome = wire::DraftOutcome::refused;
    refusals.entries.push_back(std::move(refusal));
  }
  refusals.node = options_.node;
  if (!refusals.entries.empty()) out.send(from, refusals);
}

void DraftState::on_forget(const wire::DraftForget& message) {
  for (const std::uint64_t session : message.sessions)
    for (std::size_t host = 0; host < vocabularies_.size(); ++host)
      (void)door_.post(host, ForgetSession{{message.node, session}});
}

void DraftState::on_report(std::size_t host, HostReport report, actors::Outbox& out) {
  stats_[host] = report.stats;
  std::map<std::string, wire::DraftProposal> messages;
  const auto flush = [&](const std::string& to, wire::DraftProposal& message) {
    message.node = options_.node;
    out.send(to, message);
    message.entries.clear();
  };
  for (const HostAnswer& answer : report.answers) {
    const auto client = clients_.find(answer.session.client);
    if (client == clients_.end()) continue;
    wire::DraftProposal& message = messages[client->second];
    message.entries.push_back(entry_of(answer));
    if (message.entries.size() == kMostEntries) flush(client->second, message);
  }
  for (auto& [to, message] : messages)
    if (!message.entries.empty()) flush(to, message);
  changed();
}

void DraftState::drain(actors::Outbox& out) {
  draining_ = true;
  for (const auto& [node, address] : clients_) out.send(address, offer(0));
  changed();
}

ServiceCounters DraftState::counters() const {
  ServiceCounters out = counters_;
  out.clients = clients_.size();
  return out;
}

void DraftState::changed() const {
  if (options_.on_change) options_.on_change(*this);
}

}  // namespace troupe::draft
