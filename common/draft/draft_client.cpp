#include "common/draft/draft_client.hpp"

#include <algorithm>
#include <utility>

#include "common/actors/delivery.hpp"
#include "common/base/log.hpp"

namespace troupe::draft {
namespace {

using speculation::DraftAnswer;
using speculation::DraftOrder;
using speculation::SequenceNumber;

constexpr int kDeskShift = 48;
constexpr std::uint64_t kSequenceMask = (std::uint64_t{1} << kDeskShift) - 1;
constexpr int kLinkShift = 32;  // a Ping's number says which link it went to
constexpr int kSilentProbes = 4;

wire::DraftAsk::Entry part_of(std::uint64_t session, const DraftOrder& order, std::size_t begin,
                              std::size_t end) {
  wire::DraftAsk::Entry entry;
  entry.session = session;
  entry.round = order.round;
  entry.held = order.held + static_cast<std::uint32_t>(begin);
  entry.held_hash =
      begin == 0 ? order.held_hash : speculation::text_hash(std::span(order.tokens).first(begin));
  entry.tokens.assign(order.tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                      order.tokens.begin() + static_cast<std::ptrdiff_t>(end));
  entry.wanted = end == order.tokens.size() ? order.wanted : 0;
  return entry;
}

std::optional<DraftAnswer> answer_of(const wire::DraftProposal::Entry& entry) {
  DraftAnswer answer;
  answer.round = entry.round;
  answer.position = entry.position;
  answer.kind = entry.outcome == wire::DraftOutcome::drafted ? DraftAnswer::Kind::drafted
                : entry.outcome == wire::DraftOutcome::lost  ? DraftAnswer::Kind::lost
                                                             : DraftAnswer::Kind::refused;
  const std::size_t count = entry.tokens.size();
  const bool seconds = !entry.second.empty();
  if (entry.confidence.size() != count || entry.second.size() != entry.second_confidence.size() ||
      (seconds && entry.second.size() != count))
    return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    speculation::Guess guess{entry.tokens[i], entry.confidence[i]};
    if (seconds) guess.second = entry.second[i], guess.second_confidence = entry.second_confidence[i];
    answer.guesses.push_back(guess);
  }
  return answer;
}

}  // namespace

DraftClient::DraftClient(ClientOptions options, std::vector<Desk> desks)
    : options_(std::move(options)), desks_(std::move(desks)) {
  for (const std::string& address : options_.services) {
    Link link;
    link.address = address;
    links_.push_back(std::move(link));
  }
}

DraftClient::~DraftClient() {
  for (const Desk& desk : desks_) desk.desk->open(false);
}

DraftClient::Session DraftClient::session_of(std::size_t desk, SequenceNumber sequence) {
  return std::uint64_t{desk} << kDeskShift | (sequence.value & kSequenceMask);
}

void DraftClient::receive(const std::string& from, const wire::Envelope& message, TimePoint now,
                          actors::Outbox& out) {
  actors::Delivery delivery("draft client", from, message, stats_.malformed);
  delivery.on<wire::DraftProposal>([&](wire::DraftProposal m) { on_proposal(from, std::move(m), now); });
  delivery.on<wire::DraftOffer>([&](wire::DraftOffer m) { on_offer(from, std::move(m), now); });
  delivery.on<wire::Ping>([&](const wire::Ping& m) { out.send(from, wire::Pong{m.number, options_.node}); });
  delivery.end();
  changed();
}

void DraftClient::tick(TimePoint now, actors::Outbox& out) {
  expire(now);
  if (now >= next_probe_) {
    next_probe_ = now + options_.probe;
    ++pings_;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (links_[i].up && now - links_[i].heard >= kSilentProbes * options_.probe) put_down(i);
      out.send(links_[i].address, wire::Ping{std::uint64_t{i + 1} << kLinkShift | pings_});
    }
  }
  wake_at_ = next_probe_;
  for (const auto& [session, pending] : pending_) wake_at_ = std::min(wake_at_, pending.deadline);
  changed();
}

void DraftClient::peer_lost(const std::string& address, TimePoint, actors::Outbox&) {
  for (std::size_t i = 0; i < links_.size(); ++i)
    if (links_[i].address == address || links_[i].known_as == address) put_down(i);
  changed();
}

void DraftClient::on_orders(TimePoint now, actors::Outbox& out) {
  for (std::size_t desk = 0; desk < desks_.size(); ++desk) carry(desk, now, out);
  changed();
}

/// Who wrote: a service signs with the address it advertises, which its first answer to a Ping told.
DraftClient::Link* DraftClient::link_of(const std::string& from) {
  for (Link& link : links_)
    if (link.known_as == from || link.address == from) return &link;
  return nullptr;
}

bool DraftClient::serves(const Link& link, const Desk& desk) const {
  return link.up && !link.draining &&
         std::find(link.vocabularies.begin(), link.vocabularies.end(), desk.vocabulary) !=
             link.vocabularies.end();
}

/// Workers spread over several services by their node ids; each stays with one as long as it can.
std::optional<std::size_t> DraftClient::choose(const Desk& desk) const {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const std::size_t at = (options_.node.low + i) % links_.size();
    if (serves(links_[at], desk)) return at;
  }
  return std::nullopt;
}

void DraftClient::carry(std::size_t desk, TimePoint now, actors::Outbox& out) {
  DraftDesk::Orders taken = desks_[desk].desk->take_orders();
  forget(desk, taken.forgotten, out);
  if (taken.orders.empty()) return;
  stats_.orders += taken.orders.size();
  const auto link = choose(desks_[desk]);
  if (link) return send(desk, *link, std::move(taken.orders), now, out);
  for (const DraftOrder& order : taken.orders)
    desks_[desk].desk->put(order.sequence, {order.round, DraftAnswer::Kind::refused, 0, {}});
}

void DraftClient::forget(std::size_t desk, const std::vector<SequenceNumber>& sequences,
                         actors::Outbox& out) {
  std::map<std::size_t, wire::DraftForget> told;
  for (const SequenceNumber sequence : sequences) {
    const Session session = session_of(desk, sequence);
    pending_.erase(session);
    const auto at = placed_.find(session);
    if (at == placed_.end()) continue;
    if (links_[at->second].up) told[at->second].sessions.push_back(session);
    placed_.erase(at);
  }
  for (auto& [link, message] : told) {
    message.node = options_.node;
    if (message.sessions.size() > wire::kMaxList.max) message.sessions.resize(wire::kMaxList.max);
    out.send(links_[link].address, message);
  }
}

/// As few messages as their bounds allow; a long text goes in parts, each with what came before it as held.
void DraftClient::send(std::size_t desk, std::size_t link, std::vector<DraftOrder> orders, TimePoint now,
                       actors::Outbox& out) {
  wire::DraftAsk ask;
  std::size_t tokens = 0;
  const auto flush = [&] {
    if (ask.entries.empty()) return;
    ask.node = options_.node;
    ask.vocabulary = desks_[desk].vocabulary;
    ask.deadline_ms = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.deadline * 3 / 4).count());
    out.send(links_[link].address, ask);
    ask.entries.clear();
    tokens = 0;
  };
  constexpr std::size_t kMost = wire::kMaxAskedTokens.max;
  for (const DraftOrder& order : orders) {
    const Session session = session_of(desk, order.sequence);
    if (order.held != 0 && order.tokens.size() > kMost) {  // its parts' hashes need the whole text
      desks_[desk].desk->put(order.sequence, {order.round, DraftAnswer::Kind::lost, 0, {}});
      continue;
    }
    std::size_t begin = 0;
    do {
      const std::size_t end = std::min(order.tokens.size(), begin + kMost);
      if (tokens + (end - begin) > kMost || ask.entries.size() >= wire::kMaxDraftEntries.max) flush();
      tokens += end - begin;
      ask.entries.push_back(part_of(session, order, begin, end));
      begin = end;
    } while (begin < order.tokens.size());
    placed_[session] = link;
    pending_[session] = {order.round, link, now, now + options_.deadline};
  }
  flush();
  wake_at_ = std::min(wake_at_, now + options_.deadline);
}

void DraftClient::answer(Session session, DraftAnswer answer) {
  const std::size_t desk = session >> kDeskShift;
  if (desk < desks_.size())
    desks_[desk].desk->put(SequenceNumber{session & kSequenceMask}, std::move(answer));
}

void DraftClient::on_proposal(const std::string& from, wire::DraftProposal message, TimePoint now) {
  Link* const link = link_of(from);
  if (link == nullptr || message.node != link->node) {  // of a stranger, or of the service before its restart
    stats_.stale += message.entries.size();
    return;
  }
  link->heard = now;
  for (const auto& entry : message.entries) {
    const auto found = pending_.find(entry.session);
    if (found == pending_.end() || found->second.round != entry.round) {
      ++stats_.stale;
      continue;
    }
    pending_.erase(found);
    auto said = answer_of(entry);
    if (!said) {
      ++stats_.malformed;
      said = DraftAnswer{entry.round, DraftAnswer::Kind::refused, 0, {}};
    }
    stats_.answers += said->kind == DraftAnswer::Kind::drafted ? 1 : 0;
    stats_.lost += said->kind == DraftAnswer::Kind::lost ? 1 : 0;
    stats_.refused += said->kind == DraftAnswer::Kind::refused ? 1 : 0;
    stats_.guesses += said->guesses.size();
    answer(entry.session, std::move(*said));
  }
}

void DraftClient::on_offer(const std::string& from, wire::DraftOffer message, TimePoint now) {
  const std::size_t number = message.number >> kLinkShift;
  Link* const link = number >= 1 && number <= links_.size() ? &links_[number - 1] : link_of(from);
  if (link == nullptr) return;
  const auto index = static_cast<std::size_t>(link - links_.data());
  if (link->node != message.node)
    put_down(index);  // a new one under the old address knows nothing of what was asked
  if (!link->up) {
    const bool of_use = std::any_of(desks_.begin(), desks_.end(), [&](const Desk& desk) {
      return std::find(message.vocabularies.begin(), message.vocabularies.end(), desk.vocabulary) !=
             message.vocabularies.end();
    });
    log::info(of_use ? "a draft service is there" : "a draft service has no model of this vocabulary",
              {{"address", link->address}});
  }
  link->node = message.node;
  link->known_as = from;
  link->heard = now;
  link->up = true;
  link->draining = message.draining;
  link->vocabularies = std::move(message.vocabularies);
  open_desks();
}

/// Whatever it was asked will not be answered.
void DraftClient::put_down(std::size_t link) {
  if (std::exchange(links_[link].up, false))
    log::warn("a draft service is gone", {{"address", links_[link].address}});
  open_desks();
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.link != link) {
      ++it;
      continue;
    }
    ++stats_.late;
    answer(it->first, {it->second.round, DraftAnswer::Kind::refused, 0, {}});
    it = pending_.erase(it);
  }
}

void DraftClient::open_desks() {
  for (const Desk& desk : desks_) desk.desk->open(choose(desk).has_value());
}

/// A service from which nothing came since an order that is late is taken for hung until it speaks again.
void DraftClient::expire(TimePoint now) {
  std::vector<std::size_t> silent;
  for (auto it = pending_.begin(); it != pending_.end();) {
    const Pending& pending = it->second;
    if (now < pending.deadline) {
      ++it;
      continue;
    }
    ++stats_.late;
    if (links_[pending.link].heard <= pending.sent) silent.push_back(pending.link);
    answer(it->first, {pending.round, DraftAnswer::Kind::refused, 0, {}});
    it = pending_.erase(it);
  }
  for (const std::size_t link : silent) put_down(link);
}

ClientStats DraftClient::stats() const {
  ClientStats out = stats_;
  out.services = static_cast<std::uint32_t>(std::count_if(
      links_.begin(), links_.end(), [](const Link& link) { return link.up && !link.draining; }));
  return out;
}

void DraftClient::changed() const {
  if (options_.on_change) options_.on_change(*this);
}

}  // namespace troupe::draft
