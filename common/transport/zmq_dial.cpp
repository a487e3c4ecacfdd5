#include "common/transport/zmq_dial.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/log.hpp"
#include "common/transport/zmq_curve.hpp"

namespace troupe {

ZmqDial::ZmqDial(zmq::context_t& context, zmq::socket_type type,
                 std::shared_ptr<const security::ClusterKeys> keys, Configure configure)
    : context_(&context), type_(type), keys_(std::move(keys)), configure_(std::move(configure)) {
  links_.push_back(open(0));
}

void ZmqDial::connect(const std::string& endpoint) {
  endpoint_ = endpoint;
  links_.front().socket.connect(endpoint_);
}

void ZmqDial::add_to(std::vector<zmq::pollitem_t>& items, short events) {
  for (Link& link : links_) {
    items.push_back({link.socket.handle(), 0, events, 0});
    if (keys_) items.push_back({link.monitor.handle(), 0, ZMQ_POLLIN, 0});
  }
}

std::vector<zmq::socket_t*> ZmqDial::sockets() {
  std::vector<zmq::socket_t*> all;
  for (Link& link : links_) all.push_back(&link.socket);
  return all;
}

ZmqDial::Link ZmqDial::open(std::size_t generation) const {
  Link link{generation, zmq::socket_t(*context_, type_), {}};
  link.socket.set(zmq::sockopt::linger, 0);
  configure_(link.socket);
  if (!keys_) return link;
  set_client_keys(link.socket, keys_->generations[generation]);
  link.monitor = open_monitor(*context_, link.socket, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | kHandshakeFailures);
  return link;
}

void ZmqDial::look() {
  if (!keys_) return;
  std::optional<std::size_t> good;
  bool newest_failed = false;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    MonitorEvent event;
    while (read_event(links_[i].monitor, event)) {
      if (event.number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) good = i;
      if ((event.number & kHandshakeFailures) != 0 && i + 1 == links_.size()) newest_failed = true;
    }
  }
  if (good) return keep_only(*good);
  if (newest_failed) try_next();
}

void ZmqDial::try_next() {
  for (std::size_t generation = 0; generation < keys_->generations.size(); ++generation) {
    if (std::any_of(links_.begin(), links_.end(),
                    [&](const Link& link) { return link.generation == generation; }))
      continue;
    links_.push_back(open(generation));
    links_.back().socket.connect(endpoint_);
    return;
  }
  if (!std::exchange(said_, true))
    log::warn("a peer takes no keys of this process; it is tried again", {{"address", endpoint_}});
}

void ZmqDial::keep_only(std::size_t link) {
  said_ = false;
  if (links_.size() == 1) return;
  Link kept = std::move(links_[link]);
  links_.clear();
  links_.push_back(std::move(kept));
}

}  // namespace troupe
