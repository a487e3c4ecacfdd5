// Which router is asked, and what is known while none answers.
#include <algorithm>
#include <utility>

#include "common/base/log.hpp"
#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {

// Until it has signed anything the only configured router may write under any address.
bool GatewayState::is_router(const std::string& from) const {
  return from == router() || from == router_signs_ ||
         (routers_.size() == 1 && router_signs_.empty() && !joined_);
}

void GatewayState::on_join_reply(const std::string& from, const wire::JoinReply& reply, TimePoint now) {
  const std::string& asked = reply.dialled.empty() ? from : reply.dialled;
  if (std::find(routers_.begin(), routers_.end(), asked) != routers_.end() && asked != router())
    return;  // an older one
  router_signs_ = from;
  if (reply.refused) return on_join_refused(*reply.refused, now);
  if (const auto fits = wire::check_neighbours(options_.release, reply.release); !fits)
    return on_join_refused({fits.error().code, fits.error().detail}, now);
  joined_ = true;
  told_.clear();
  if (reply.router == router_id_) return;
  // It may be new itself: its workers come within a heartbeat or two. Until then what the last one knew
  // counts.
  router_id_ = reply.router;
  settled_at_ = now + options_.rejoin_patience;
  log::info("router in use", {{"address", router()}});
}

void GatewayState::on_join_refused(const wire::WireError& why, TimePoint now) {
  joined_ = false;
  if (why.code == Errc::peer_lost) {
    wake_at_ = next_beat_ = now;  // unknown to the router: announce again at once
    return;
  }
  if (why.code == Errc::wire_version) ++counters_.release_refusals;
  if (std::exchange(told_, why.detail) != why.detail)
    log::error("the router refuses this gateway", {{"router", router()}, {"reason", why.detail}});
  router_ =
      (router_ + 1) % routers_.size();  // another one may be of another release; the next heartbeat asks it
  router_signs_.clear();
}

void GatewayState::meet_routers(const std::vector<std::string>& addresses) {
  if (addresses.empty()) return;
  const std::string in_use = router();
  std::erase_if(routers_, [&](const std::string& known) {
    return known != in_use && std::find(addresses.begin(), addresses.end(), known) == addresses.end();
  });
  for (const std::string& address : addresses)
    if (std::find(routers_.begin(), routers_.end(), address) == routers_.end()) routers_.push_back(address);
  router_ = static_cast<std::size_t>(std::find(routers_.begin(), routers_.end(), in_use) - routers_.begin());
}

void GatewayState::settle_router(TimePoint now) {
  if (!settled_at_ || now < *settled_at_ || !joined_) return;
  settled_at_.reset();
  view_.forget_older();
  publish_models(now);
}

void GatewayState::lose_router(TimePoint now) {
  const bool was_joined = std::exchange(joined_, false);
  router_ = (router_ + 1) % routers_.size();
  router_signs_.clear();
  if (!was_joined) return;  // the next heartbeat tries the next one
  ++counters_.routers_lost;
  log::warn("the router does not answer: placing by its last word", {{"next", router()}});
  wake_at_ = next_beat_ = now;
  for (auto& [id, request] : requests_) {
    if (request.phase != Phase::placing) continue;
    request.unanswered = 0;
    request.ask_at = std::min(request.ask_at, now);
  }
}

void GatewayState::on_models(const wire::ModelTable& table, TimePoint now) {
  table_ = table;
  publish_models(now);
}

void GatewayState::publish_models(TimePoint now) {
  // A model whose workers are away stays known: its requests get "no ready worker", not "no such model".
  for (auto& [name, row] : models_) row.ready_workers = 0;
  for (const wire::ModelTable::Row& row : table_.rows) models_[row.model.name] = row;
  const bool settling = settled_at_ && now < *settled_at_;
  std::vector<ServedModel> served;
  for (auto& [name, row] : models_) {
    if (settling) row.ready_workers = std::max(row.ready_workers, view_.decoders(name));
    served.push_back(
        {row.model.name, row.model.id, row.model.context_length, row.ready_workers, row.model.numerics_id});
  }
  on_models_(served);
}

void GatewayState::beat(actors::Outbox& out) {
  if (left_) return;
  if (!joined_) {
    wire::Join message;
    message.node = options_.node;
    message.role = wire::Role::gateway;
    message.name = options_.name;
    message.control_address = options_.control_address;
    message.dialled = router();
    message.release = options_.release;
    out.send(router(), message);
    return;
  }
  wire::Heartbeat message;
  message.node = options_.node;
  out.send(router(), message);
}

void GatewayState::watch(actors::Outbox& out) {
  if (left_) return;
  publish_picture(pictures_.set_joined(joined_));
  out.send(router(), wire::Operate{options_.node, wire::Operation::report});
}

void GatewayState::operate(const NodeId& worker, const std::string& address, wire::Operation operation,
                           actors::Outbox& out) {
  log::info("a worker is given an order",
            {{"worker", to_hex(worker)}, {"operation", static_cast<unsigned>(operation)}});
  out.send(address, wire::Operate{worker, operation});
}

void GatewayState::publish_picture(bool changed) {
  if (changed && options_.on_picture) options_.on_picture(pictures_.picture());
}

void GatewayState::leave(actors::Outbox& out) {
  if (joined_) out.send(router(), wire::Leave{options_.node, "drained"});
  joined_ = false;
  left_ = true;
}

}  // namespace troupe::gateway
