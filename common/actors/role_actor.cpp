#include "common/actors/role_actor.hpp"

#include <algorithm>

#include "common/actors/address.hpp"
#include "common/actors/dialer.hpp"
#include "common/base/handoff.hpp"
#include "common/base/log.hpp"
#include "common/wire/frame.hpp"

namespace troupe::actors {
namespace {

constexpr std::size_t kWaitingMail = 1024;  // per peer, while it is dialled
constexpr std::size_t kPeers = 4096;
constexpr std::chrono::milliseconds kFirstPause{100}, kLongestPause{2000};

TimePoint time_now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

RoleActor::RoleActor(caf::actor_config& config, const caf::actor& prober,
                     std::shared_ptr<LocalDirectory> directory)
    : caf::event_based_actor(config),
      prober_(caf::actor_cast<caf::actor_addr>(prober)),
      directory_(std::move(directory)) {}

RoleActor::~RoleActor() {
  take_over();
}

caf::behavior RoleActor::make_behavior() {
  set_down_handler([this](caf::down_msg& down) { on_down(down); });
  // What a peer sends that this build does not know arrives as an unexpected message: dropped, never fatal.
  set_default_handler([](caf::scheduled_actor*, caf::message_view&) -> caf::result<caf::message> {
    log::warn("unexpected message dropped");
    return caf::message{};
  });
  return {
      [this](StartRole& first) { start(std::move(*first.state), std::move(first.address)); },
      [this](Mail& mail) { on_mail(mail); },
      [this](const Job& job) {
        const Handoff handoff;
        if (!state_) return;
        Outbox out;
        job.run(*state_, time_now(), out);
        flush(out);
      },
      [this](const Wake& wake) {
        const Handoff handoff;
        if (!state_ || wake.number != wake_number_) return;
        wake_at_ = TimePoint::max();
        Outbox out;
        state_->tick(time_now(), out);
        flush(out);
      },
      [this](const DialResult& result) { on_dialled(result); },
      [this](const StopRole&) { quit(); },
  };
}

void RoleActor::on_exit() {
  const Handoff handoff;
  state_.reset();
  peers_.clear();
}

void RoleActor::start(std::unique_ptr<RoleState> state, std::string address) {
  const Handoff handoff;
  state_ = std::move(state);
  address_ = std::move(address);
  Outbox out;
  state_->tick(time_now(), out);
  flush(out);
}

void RoleActor::on_mail(Mail& mail) {
  const Handoff handoff;
  if (!state_) return;
  if (!is_local(mail.from)) {
    if (wire::checksum(mail.envelope, mail.from) == mail.checksum) {
      learn(mail.from, current_sender());
    } else {  // without its payload it is refused and counted as what does not parse
      mail.from = "a damaged message";
      mail.envelope.payload.clear();
    }
  }
  Outbox out;
  state_->receive(mail.from, mail.envelope, time_now(), out);
  flush(out);
}

// A peer that wrote to us is answered over the connection it came by: nobody needs to dial back.
void RoleActor::learn(const std::string& address, const caf::strong_actor_ptr& handle) {
  if (!handle) return;
  const auto found = peers_.find(address);
  if (found != peers_.end() && found->second.handle == handle) return;
  if (found == peers_.end() && !make_room()) return;
  Peer& peer = peers_[address];
  if (peer.handle) demonitor(peer.handle->address());
  peer.handle = handle;
  peer.pause = kFirstPause;
  monitor(caf::actor_cast<caf::actor>(handle));
}

// Forgets peers that are gone once there are too many names. false: all of them live.
bool RoleActor::make_room() {
  if (peers_.size() < kPeers) return true;
  std::erase_if(peers_, [](const auto& entry) { return !entry.second.handle && !entry.second.dialling; });
  return peers_.size() < kPeers;
}

void RoleActor::on_down(const caf::down_msg& down) {
  const Handoff handoff;
  if (!state_) return;
  for (auto& [address, peer] : peers_) {
    if (!peer.handle || peer.handle->address() != down.source) continue;
    peer.handle = nullptr;
    peer.retry_at = time_now();
    log::debug("peer lost", {{"address", address}});
    Outbox out;
    const std::string lost = address;  // flush may change peers_
    state_->peer_lost(lost, time_now(), out);
    flush(out);
    return;
  }
}

void RoleActor::on_dialled(const DialResult& result) {
  const Handoff handoff;
  const auto found = peers_.find(result.address);
  if (!state_ || found == peers_.end()) return;
  Peer& peer = found->second;
  peer.dialling = false;
  if (result.handle) learn(result.address, result.handle);
  auto waiting = std::exchange(peer.waiting, {});
  if (peer.handle) {
    peer.pause = kFirstPause;
    hand_over();
    for (wire::Envelope& envelope : waiting) send_to(peer, std::move(envelope));
    return;
  }
  peer.retry_at = time_now() + peer.pause;
  peer.pause = std::min(peer.pause * 2, kLongestPause);
  Outbox out;
  state_->peer_lost(result.address, time_now(), out);
  flush(out);
}

void RoleActor::flush(Outbox& out) {
  // A dropped message may make the state write others; each address is reported at most once a round.
  hand_over();
  for (int round = 0; round < 4; ++round) {
    std::vector<std::string> unreachable;
    for (Outgoing& message : out.take()) deliver(message.to, std::move(message.message), unreachable);
    if (unreachable.empty()) break;
    for (const std::string& address : unreachable) state_->peer_lost(address, time_now(), out);
  }
  schedule();
}

void RoleActor::deliver(const std::string& to, wire::Envelope envelope,
                        std::vector<std::string>& unreachable) {
  const auto give_up = [&] {
    if (std::find(unreachable.begin(), unreachable.end(), to) == unreachable.end()) unreachable.push_back(to);
  };
  if (is_local(to)) {
    const auto handle = directory_->find(to);
    if (!handle) return give_up();
    send(caf::actor_cast<caf::actor>(handle), Mail{address_, std::move(envelope), 0});
    return;
  }
  if (!peers_.contains(to) && !make_room()) return give_up();
  Peer& peer = peers_[to];
  if (peer.handle) return send_to(peer, std::move(envelope));
  if (!prober_ || !is_tcp(to) || (!peer.dialling && time_now() < peer.retry_at) ||
      peer.waiting.size() >= kWaitingMail)
    return give_up();
  peer.waiting.push_back(std::move(envelope));
  if (peer.dialling) return;
  peer.dialling = true;
  dial(system(), prober_, to, this);
}

void RoleActor::send_to(const Peer& peer, wire::Envelope envelope) {
  const std::uint64_t checksum = wire::checksum(envelope, address_);
  send(caf::actor_cast<caf::actor>(peer.handle), Mail{address_, std::move(envelope), checksum});
}

void RoleActor::schedule() {
  const TimePoint wanted = state_->wake_at();
  if (wanted >= wake_at_ || wanted == TimePoint::max()) return;
  wake_at_ = wanted;
  const auto wait = std::max(Duration::zero(), wanted - time_now());
  delayed_send(this, wait, Wake{++wake_number_});
}

}  // namespace troupe::actors
