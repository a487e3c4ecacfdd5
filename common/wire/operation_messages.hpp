#pragma once
// What an operator sees and orders, and spans of recorded requests.
#include "common/wire/message.hpp"

namespace troupe::wire {

/// Router to a gateway that asked (Operate::report): every node as it is, and placements not told yet. A large cluster comes
/// in parts of one number; a node that no part of the last number names is gone. Placements come by themselves, as part 0 of 0.
struct ClusterReport {
  TROUPE_MESSAGE(ClusterReport, 1, 1);
  struct ModelLoad {
    std::string model;
    std::uint32_t running = 0, waiting = 0, capacity = 0;
    std::uint32_t pages_total = 0, pages_free = 0, pages_cached = 0, pages_reserved = 0;
    std::uint32_t queued_prompt_tokens = 0;
    std::uint64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;  ///< since its start
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("model", s.model);
      v("running", s.running);
      v("waiting", s.waiting);
      v("capacity", s.capacity);
      v("pages_total", s.pages_total);
      v("pages_free", s.pages_free);
      v("pages_cached", s.pages_cached);
      v("pages_reserved", s.pages_reserved);
      v("queued_prompt_tokens", s.queued_prompt_tokens);
      v("prompt_tokens", s.prompt_tokens);
      v("generated_tokens", s.generated_tokens);
      v("cached_tokens", s.cached_tokens);
    }
  };
  struct Row {
    NodeId node;
    Role role = Role::decode;
    std::string name;
    std::string control_address;
    bool draining = false, hung = false, busy = false;
    std::uint32_t silent_ms = 0;  ///< since it was last heard
    std::uint32_t placed = 0, placed_prefills = 0;
    std::vector<ModelLoad> loads;
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("node", s.node);
      v("role", s.role);
      v("name", s.name);
      v("control_address", s.control_address);
      v("draining", s.draining);
      v("hung", s.hung);
      v("busy", s.busy);
      v("silent_ms", s.silent_ms);
      v("placed", s.placed);
      v("placed_prefills", s.placed_prefills);
      v("loads", s.loads);
    }
  };
  NodeId router;
  std::uint64_t number = 0;
  std::uint32_t part = 0, parts = 1;
  std::vector<Row> rows;
  struct Explanation {
    RequestId request;
    Epoch epoch;
    std::string json;  ///< an object, as in /state
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("request", s.request);
      v("epoch", s.epoch);
      v("json", s.json, kMaxDetail);
    }
  };
  std::vector<Explanation> placements;  ///< new or changed ones, the oldest first
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("router", s.router);
    v("number", s.number);
    v("part", s.part);
    v("parts", s.parts);
    v("rows", s.rows);
    v("placements", s.placements);
  }
};

/// From a gateway, on behalf of a person. A worker obeys drain, undrain and, where its options allow it, kill; a router
/// answers `report` with ClusterReports for the next two seconds.
enum class Operation : std::uint8_t { report, drain, undrain, kill };
[[nodiscard]] constexpr Operation last_value(Operation) { return Operation::kill; }
struct Operate {
  TROUPE_MESSAGE(Operate, 1, 1);
  NodeId node;  ///< who is meant; another one ignores it. Of a report: who asks
  Operation operation = Operation::report;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("operation", s.operation);
  }
};

/// What a role did for a recorded request, at the end of a stage and before the answer that follows from it: of a router or a
/// decode worker to the gateway that gave the order; of who sends pages to who asked for them, and from there to the gateway.
/// Times count from when the order came, by the sender's clock: common/trace/alignment.hpp.
struct Spans {
  TROUPE_MESSAGE(Spans, 1, 1);
  struct Span {
    trace::SpanId id, parent;
    std::string name;
    std::int64_t start_ns = 0, end_ns = 0;
    bool failed = false;
    std::vector<std::pair<std::string, std::int64_t>> numbers = {};
    std::vector<std::pair<std::string, std::string>> texts = {};
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("id", s.id);
      v("parent", s.parent);
      v("name", s.name);
      v("start_ns", s.start_ns);
      v("end_ns", s.end_ns);
      v("failed", s.failed);
      v("numbers", s.numbers);
      v("texts", s.texts);
    }
  };
  RequestId request;
  Epoch epoch;
  std::uint32_t choice = 0;   ///< first one of the order
  Role role = Role::decode;   ///< of who did it
  std::string name;           ///< as in its Join; empty: the sender's address tells
  std::int64_t age_ns = 0;    ///< from the order's coming to this message's leaving
  std::uint32_t dropped = 0;  ///< spans over the sender's bound, since the last message
  std::vector<Span> spans;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("choice", s.choice);
    v("role", s.role);
    v("name", s.name);
    v("age_ns", s.age_ns);
    v("dropped", s.dropped);
    v("spans", s.spans, kMaxSpans);
  }
};

}  // namespace troupe::wire
