#pragma once
// A router's state with messages as a test wants them.
#include <gtest/gtest.h>

#include "common/kv/block_key.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {

inline const ModelId kModel{5, 5};

/// A router, driven message by message.
struct Rig {
  explicit Rig(RouterOptions options = {}) {
    options.node = {99, 99};
    state = std::move(*RouterState::create(options));
  }
  template <class M>
  std::vector<actors::Outgoing> send(const std::string& from, const M& message) {
    actors::Outbox out;
    state->receive(from, wire::pack(message), clock.now(), out);
    return out.take();
  }
  void join(std::uint64_t id, wire::Role role) {
    wire::Join message;
    message.node = {id, id};
    message.role = role;
    message.name = "n" + std::to_string(id);
    message.control_address = "tcp://n" + std::to_string(id);
    message.data_address = "tcp://d" + std::to_string(id);
    if (role != wire::Role::gateway) message.models = {{"m", kModel, 8192, 1, 1, "n"}};
    (void)send(message.control_address, message);
  }
  void beat(std::uint64_t id, std::uint32_t running = 0, std::uint32_t capacity = 8,
            std::uint32_t queued = 0) {
    wire::Heartbeat message;
    message.node = {id, id};
    message.loads = {{kModel, running, 0, 1000, 1000, 0, 0, queued, 0, 0, 0, capacity}};
    (void)send("tcp://n" + std::to_string(id), message);
  }
  std::vector<actors::Outgoing> place(std::uint64_t request, std::uint32_t tokens, std::uint32_t epoch = 1,
                                      std::vector<NodeId> avoid = {}, std::vector<BlockKey> blocks = {},
                                      std::uint32_t max_tokens = 100) {
    wire::PlaceRequest message;
    message.max_tokens = max_tokens;
    message.request = {request, request};
    message.epoch = {epoch};
    message.model = "m";
    message.tenant = tenant;
    message.prompt_tokens = tokens;
    message.blocks = std::move(blocks);
    message.avoid = std::move(avoid);
    message.deadline_ms = 1000;
    return send("tcp://n50", message);
  }
  void started(std::uint64_t request, std::uint64_t us, std::uint32_t cached = 0, std::uint32_t epoch = 1) {
    (void)send("tcp://n50", wire::RequestStarted{{request, request}, {epoch}, us, cached});
  }
  void ended(std::uint64_t request) { (void)send("tcp://n50", wire::RequestEnded{{request, request}, {1}}); }
  template <class M>
  static M only(const std::vector<actors::Outgoing>& out) {
    EXPECT_EQ(out.size(), 1u);
    auto message = wire::unpack<M>(out.at(0).message);
    EXPECT_TRUE(message.has_value()) << (message ? "" : to_string(message.error()));
    return message.value_or(M{});
  }
  std::string tenant = "default";
  ManualClock clock;
  std::unique_ptr<RouterState> state;
};

}  // namespace troupe::router
