#pragma once
// Who is there: joining, heartbeats, leaving, and what routers tell of workers.
#include "common/wire/message.hpp"
#include "common/wire/release.hpp"

namespace troupe::wire {

/// A role announces itself to the router: at start, and again whenever the router does not know it.
struct Join {
  TROUPE_MESSAGE(Join, 4, 1);
  NodeId node;
  Role role = Role::decode;
  std::string name;             ///< "decode-0": unique in the cluster, stable over restarts
  std::string control_address;  ///< "tcp://host:port", or "local://name" inside one process
  std::string data_address;     ///< where KV frames are received
  std::vector<ModelInfo> models;
  std::string dialled;          ///< the router's address as this node knows it; its reply repeats it
  std::vector<ModelId> weights; ///< of each of `models`, whatever numbers it computes with; empty: not said
  Release release = {};         ///< of the process
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("role", s.role);
    v("name", s.name);
    v("control_address", s.control_address);
    v("data_address", s.data_address);
    v("models", s.models);
    v.since(2, "dialled", s.dialled);
    v.since(3, "weights", s.weights);
    v.since(4, "release", s.release);
  }
};

struct JoinReply {
  TROUPE_MESSAGE(JoinReply, 3, 1);
  NodeId router;
  std::optional<WireError> refused;
  std::uint32_t heartbeat_ms = 500;
  std::string dialled = {};         ///< of the Join it answers; empty: it answers none
  Release release = {};             ///< of the router's process
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("router", s.router);
    v("refused", s.refused);
    v("heartbeat_ms", s.heartbeat_ms);
    v.since(2, "dialled", s.dialled);
    v.since(3, "release", s.release);
  }
};

struct Heartbeat {
  TROUPE_MESSAGE(Heartbeat, 2, 1);
  NodeId node;
  std::uint64_t progress = 0;  ///< bumped per layer; stands still under work only when hung
  bool busy = false;           ///< there is work, so progress must move
  bool draining = false;
  std::vector<Load> loads;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("progress", s.progress);
    v("busy", s.busy);
    v("draining", s.draining);
    v("loads", s.loads);
  }
};

struct Leave {
  TROUPE_MESSAGE(Leave, 1, 1);
  NodeId node;
  std::string reason;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("reason", s.reason);
  }
};

/// Router to gateways, on every change.
struct ModelTable {
  TROUPE_MESSAGE(ModelTable, 1, 1);
  struct Row {
    ModelInfo model;
    std::uint32_t ready_workers = 0;
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("model", s.model);
      v("ready_workers", s.ready_workers);
    }
  };
  std::vector<Row> rows;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("rows", s.rows);
  }
};

/// Through a mailbox, not a socket: a stuck worker does not answer.
struct Ping {
  TROUPE_MESSAGE(Ping, 1, 1);
  std::uint64_t number = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("number", s.number);
  }
};

struct Pong {
  TROUPE_MESSAGE(Pong, 1, 1);
  std::uint64_t number = 0;
  NodeId node;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("number", s.number);
    v("node", s.node);
  }
};

/// Router to gateways: this node will not finish what it was given (dead, hung, replaced or gone).
struct WorkerGone {
  TROUPE_MESSAGE(WorkerGone, 2, 1);
  NodeId node;
  std::string reason;
  bool died = true;  ///< false: it left by itself
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("reason", s.reason);
    v.since(2, "died", s.died);
  }
};

/// Router to gateways, on every change: the workers, so that placing goes on while no router answers. A large
/// table comes in parts of one number; it counts when the last one is there.
struct WorkerTable {
  TROUPE_MESSAGE(WorkerTable, 1, 1);
  struct Row {
    NodeId node;
    Role role = Role::decode;
    std::string name;
    std::string control_address;
    std::string data_address;
    std::vector<std::string> models;
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("node", s.node);
      v("role", s.role);
      v("name", s.name);
      v("control_address", s.control_address);
      v("data_address", s.data_address);
      v("models", s.models);
    }
  };
  NodeId router;
  std::uint64_t number = 0;  ///< counts up; of two the higher is newer
  std::uint32_t part = 0, parts = 1;
  std::vector<Row> rows;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("router", s.router);
    v("number", s.number);
    v("part", s.part);
    v("parts", s.parts);
    v("rows", s.rows);
  }
};

/// Router to a worker: be prefill or decode from now on. It takes nothing new until what it has is over, at most `drain_ms`,
/// then joins again in its new role; what still runs then ends beside it.
struct ChangeRole {
  TROUPE_MESSAGE(ChangeRole, 1, 1);
  NodeId node;
  Role role = Role::decode;
  std::uint32_t drain_ms = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("role", s.role);
    v("drain_ms", s.drain_ms);
  }
};

}  // namespace troupe::wire
