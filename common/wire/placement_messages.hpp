#pragma once
// Where a request goes, and what became of it: between gateways and routers.
#include "common/wire/message.hpp"

namespace troupe::wire {

/// Gateway to router: hashes, never text.
struct PlaceRequest {
  TROUPE_MESSAGE(PlaceRequest, 3, 1);
  RequestId request;
  Epoch epoch;                      ///< of the placement to make; rises with every replay
  std::string model;
  std::string tenant;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t choices = 1;
  std::vector<BlockKey> blocks;
  std::vector<NodeId> avoid;        ///< workers that just failed this request
  std::uint32_t deadline_ms = 0;    ///< from now
  std::int32_t priority = 0;        ///< higher goes first
  std::uint64_t session = 0;        ///< hash of what its client calls the session or user; 0: none
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt_tokens", s.prompt_tokens);
    v("max_tokens", s.max_tokens);
    v("choices", s.choices);
    v("blocks", s.blocks, kMaxBlocks);
    v("avoid", s.avoid);
    v("deadline_ms", s.deadline_ms);
    v.since(2, "priority", s.priority);
    v.since(2, "session", s.session);
    v.since(3, "trace", s.trace);
  }
};

struct Placement {
  TROUPE_MESSAGE(Placement, 4, 1);
  RequestId request;
  Epoch epoch;
  NodeId decode;
  std::string decode_address;
  std::string decode_data_address;
  std::optional<NodeId> prefill;    ///< none: the decode worker prefills
  std::string prefill_address;
  std::uint32_t cached_tokens = 0;  ///< what the router believes the decode worker holds
  std::string reason;               ///< of the choice, for logs and the response's "troupe" object
  std::string prefill_data_address; ///< where a prompt too long for a control message goes
  std::string fetch_address;        ///< a worker that holds more of the prompt; empty: none is worth asking
  std::uint32_t fetch_tokens = 0;   ///< what the router believes it holds
  ModelId prefill_model;            ///< that `prefill` computes with other numbers, its pages are converted; zero: the same
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("decode", s.decode);
    v("decode_address", s.decode_address);
    v("decode_data_address", s.decode_data_address);
    v("prefill", s.prefill);
    v("prefill_address", s.prefill_address);
    v("cached_tokens", s.cached_tokens);
    v("reason", s.reason);
    v.since(2, "prefill_data_address", s.prefill_data_address);
    v.since(3, "fetch_address", s.fetch_address);
    v.since(3, "fetch_tokens", s.fetch_tokens);
    v.since(4, "prefill_model", s.prefill_model);
  }
};

struct PlaceRefused {
  TROUPE_MESSAGE(PlaceRefused, 1, 1);
  RequestId request;
  Epoch epoch;
  WireError error;
  std::uint32_t retry_after_ms = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("error", s.error);
    v("retry_after_ms", s.retry_after_ms);
  }
};

/// Gateway to router: the first token came, so that the router learns what placements cost.
struct RequestStarted {
  TROUPE_MESSAGE(RequestStarted, 1, 1);
  RequestId request;
  Epoch epoch;
  std::uint64_t first_token_us = 0;  ///< from the placement's order to its first token
  std::uint32_t cached_tokens = 0;   ///< prompt tokens that the worker really had
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("first_token_us", s.first_token_us);
    v("cached_tokens", s.cached_tokens);
  }
};

/// Router to gateway, now and then: placements it still counts. Those that the gateway knows nothing of have ended, and it says
/// so again: a RequestEnded that was lost or damaged would count until its lease's end.
struct PlacementCheck {
  TROUPE_MESSAGE(PlacementCheck, 1, 1);
  std::vector<std::pair<RequestId, Epoch>> placements;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("placements", s.placements, kMaxList);
  }
};

/// Worker to routers: what fetching a prompt's pages from a peer took, so that they learn when that is worth while.
struct PagesMoved {
  TROUPE_MESSAGE(PagesMoved, 1, 1);
  RequestId request;
  Epoch epoch;
  NodeId node;                  ///< that has them now
  ModelId model;
  std::string source;           ///< control address of the peer they came from
  std::uint32_t tokens = 0;     ///< whose pages came
  std::uint64_t took_us = 0;    ///< from asking to the last page
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("node", s.node);
    v("model", s.model);
    v("source", s.source);
    v("tokens", s.tokens);
    v("took_us", s.took_us);
  }
};

/// How a placement ended, as far as its worker is concerned; `dropped` says nothing of the worker.
enum class Outcome : std::uint8_t { answered, dropped, failed };
[[nodiscard]] constexpr Outcome last_value(Outcome) { return Outcome::failed; }

/// Gateway to router: the placement is over and its share of the load is free.
struct RequestEnded {
  TROUPE_MESSAGE(RequestEnded, 2, 1);
  RequestId request;
  Epoch epoch;
  Outcome outcome = Outcome::answered;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v.since(2, "outcome", s.outcome);
  }
};

}  // namespace troupe::wire
