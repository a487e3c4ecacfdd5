#pragma once
// Every message between processes. Numbers: message_ids.def. Rules for changing one: codec.hpp and README, "Add a message".
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sampling/params.hpp"
#include "common/trace/context.hpp"
#include "common/wire/codec.hpp"

namespace troupe {

// Enumerations and structs of other folders that travel.
[[nodiscard]] constexpr FinishReason last_value(FinishReason) { return FinishReason::error; }
[[nodiscard]] constexpr Errc last_value(Errc) { return static_cast<Errc>(0xFFFF); }

namespace wire {

#define X(name, number) inline constexpr std::uint16_t k##name##Number = number;
#include "common/wire/message_ids.def"
#undef X

/// Name and versions of a message struct.
#define TROUPE_MESSAGE(name, version, oldest)                       \
  static constexpr std::string_view kName = #name;                  \
  static constexpr std::uint16_t kNumber = k##name##Number;         \
  static constexpr std::uint16_t kVersion = version;                \
  static constexpr std::uint16_t kOldestReader = oldest

inline constexpr Bound kMaxPromptTokens{1u << 20};
inline constexpr Bound kMaxBlocks{1u << 17};
inline constexpr Bound kMaxList{1u << 16};
inline constexpr Bound kMaxDetail{16384};
inline constexpr Bound kMaxSpans{64};
inline constexpr Bound kMaxRecordedBody{8u << 20};
/// Larger payloads travel on the data plane.
inline constexpr std::size_t kMaxControlBytes = 48 * 1024;

enum class Role : std::uint8_t { gateway, router, prefill, decode };
[[nodiscard]] constexpr Role last_value(Role) { return Role::decode; }

struct WireError {
  Errc code = Errc::internal;
  std::string detail;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("code", s.code);
    v("detail", s.detail, kMaxDetail);
  }
};

/// The span that an order belongs to: its own work hangs below it. Zero: nobody records the request.
struct TraceLink {
  trace::TraceId id;
  trace::SpanId span;
  [[nodiscard]] bool recorded() const { return !id.is_zero(); }
  bool operator==(const TraceLink&) const = default;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("id", s.id);
    v("span", s.span);
  }
};

struct ModelInfo {
  std::string name;
  ModelId id;
  std::uint32_t context_length = 0;
  std::uint32_t layers = 0;
  std::uint32_t layer_page_bytes = 0;
  std::string numerics_id;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("name", s.name);
    v("id", s.id);
    v("context_length", s.context_length);
    v("layers", s.layers);
    v("layer_page_bytes", s.layer_page_bytes);
    v("numerics_id", s.numerics_id);
  }
};

/// Load of one model on one worker, as of a heartbeat.
struct Load {
  ModelId model;
  std::uint32_t running = 0, waiting = 0;
  std::uint32_t pages_total = 0, pages_free = 0, pages_cached = 0, pages_reserved = 0;
  std::uint32_t queued_prompt_tokens = 0;
  std::uint64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
  std::uint32_t capacity = 0;  ///< running and waiting together at most; 0: not said
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("model", s.model);
    v("running", s.running);
    v("waiting", s.waiting);
    v("pages_total", s.pages_total);
    v("pages_free", s.pages_free);
    v("pages_cached", s.pages_cached);
    v("pages_reserved", s.pages_reserved);
    v("queued_prompt_tokens", s.queued_prompt_tokens);
    v("prompt_tokens", s.prompt_tokens);
    v("generated_tokens", s.generated_tokens);
    v("cached_tokens", s.cached_tokens);
    v.since(2, "capacity", s.capacity);
  }
};

/// A role announces itself to the router: at start, and again whenever the router does not know it.
struct Join {
  TROUPE_MESSAGE(Join, 3, 1);
  NodeId node;
  Role role = Role::decode;
  std::string name;             ///< "decode-0": unique in the cluster, stable over restarts
  std::string control_address;  ///< "tcp://host:port", or "local://name" inside one process
  std::string data_address;     ///< where KV frames are received
  std::vector<ModelInfo> models;
  std::string dialled;          ///< the router's address as this node knows it; its reply repeats it
  std::vector<ModelId> weights; ///< of each of `models`, whatever numbers it computes with; empty: not said
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
  }
};

struct JoinReply {
  TROUPE_MESSAGE(JoinReply, 2, 1);
  NodeId router;
  std::optional<WireError> refused;
  std::uint32_t heartbeat_ms = 500;
  std::string dialled = {};         ///< of the Join it answers; empty: it answers none
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("router", s.router);
    v("refused", s.refused);
    v("heartbeat_ms", s.heartbeat_ms);
    v.since(2, "dialled", s.dialled);
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

/// Blocks a worker began or ceased to hold. `sequence` counts up by one per update; a gap asks for a snapshot.
struct KvUpdate {
  TROUPE_MESSAGE(KvUpdate, 2, 1);
  NodeId node;
  ModelId model;
  std::uint64_t sequence = 0;
  bool snapshot = false;        ///< `stored` is everything; forget the rest
  std::vector<BlockKey> stored;   ///< in memory
  std::vector<BlockKey> removed;
  std::vector<BlockKey> stored_on_disk = {}, removed_from_disk = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("model", s.model);
    v("sequence", s.sequence);
    v("snapshot", s.snapshot);
    v("stored", s.stored, kMaxBlocks);
    v("removed", s.removed, kMaxBlocks);
    v.since(2, "stored_on_disk", s.stored_on_disk, kMaxBlocks);
    v.since(2, "removed_from_disk", s.removed_from_disk, kMaxBlocks);
  }
};

struct KvSnapshotRequest {
  TROUPE_MESSAGE(KvSnapshotRequest, 1, 1);
  NodeId node;
  ModelId model;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("model", s.model);
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

struct WireSampling {
  SamplingParams p;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("temperature", s.p.temperature);
    v("top_k", s.p.top_k);
    v("top_p", s.p.top_p);
    v("min_p", s.p.min_p);
    v("typical_p", s.p.typical_p);
    v("repetition_penalty", s.p.repetition_penalty);
    v("frequency_penalty", s.p.frequency_penalty);
    v("presence_penalty", s.p.presence_penalty);
    v("logit_bias", s.p.logit_bias);
    v("seed", s.p.seed);
    v("logprobs", s.p.logprobs);
    v("report_logprobs", s.p.report_logprobs);
  }
};

/// Gateway to decode worker. A prompt too long for a control message follows as a PromptFrame on the data plane.
struct Generate {
  TROUPE_MESSAGE(Generate, 7, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::string tenant;
  std::vector<TokenId> prompt;          ///< empty when prompt_by_data
  bool prompt_by_data = false;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t resumed_tokens = 0;
  std::uint32_t first_choice = 0;
  std::uint32_t choices = 1;
  std::uint32_t max_tokens = 1;
  std::vector<TokenId> stop_tokens;
  WireSampling sampling;
  bool prompt_logprobs = false;
  std::uint32_t deadline_ms = 0;        ///< from now; 0: none
  std::string prefill_address;          ///< empty: prefill here
  std::string prefill_data_address;
  std::int32_t priority = 0;            ///< higher goes first
  std::string fetch_address;            ///< a worker to ask for the prompt's pages first; empty: none
  std::uint32_t fetch_tokens = 0;       ///< leading ones it may hold
  ModelId prefill_model;                ///< as in the Placement
  std::string drafter;                  ///< off, auto or a name; empty: the worker's option
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("prompt_by_data", s.prompt_by_data);
    v("prompt_tokens", s.prompt_tokens);
    v("resumed_tokens", s.resumed_tokens);
    v("first_choice", s.first_choice);
    v("choices", s.choices);
    v("max_tokens", s.max_tokens);
    v("stop_tokens", s.stop_tokens);
    v("sampling", s.sampling);
    v("prompt_logprobs", s.prompt_logprobs);
    v("deadline_ms", s.deadline_ms);
    v("prefill_address", s.prefill_address);
    v.since(2, "prefill_data_address", s.prefill_data_address);
    v.since(3, "priority", s.priority);
    v.since(4, "fetch_address", s.fetch_address);
    v.since(4, "fetch_tokens", s.fetch_tokens);
    v.since(5, "prefill_model", s.prefill_model);
    v.since(6, "drafter", s.drafter);
    v.since(7, "trace", s.trace);
  }
};

struct WireToken {
  TokenId token = 0;
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("token", s.token);
    v("logprob", s.logprob);
    v("top", s.top);
  }
};

/// Decode worker to gateway: everything one engine step made for that gateway, as one message.
struct Tokens {
  TROUPE_MESSAGE(Tokens, 4, 1);
  struct Entry {
    RequestId request;
    Epoch epoch;
    std::uint32_t choice = 0;
    std::uint32_t first_index = 0;      ///< index in the answer of tokens[0]
    std::vector<WireToken> tokens;
    FinishReason finish = FinishReason::none;
    std::optional<WireError> error;
    std::uint32_t cached_tokens = 0;
    std::vector<WireToken> prompt_tokens;
    std::uint32_t prompt_first = 0;     ///< index of prompt_tokens[0]: a long echo comes in parts
    std::uint32_t prompt_total = 0;     ///< prompt tokens reported in all
    std::uint32_t drafted = 0;          ///< guesses computed for this choice under this epoch so far
    std::uint32_t accepted = 0;         ///< of them, those that came true
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("request", s.request);
      v("epoch", s.epoch);
      v("choice", s.choice);
      v("first_index", s.first_index);
      v("tokens", s.tokens, kMaxList);
      v("finish", s.finish);
      v("error", s.error);
      v("cached_tokens", s.cached_tokens);
      v("prompt_tokens", s.prompt_tokens, kMaxPromptTokens);
      v.since(2, "prompt_first", s.prompt_first);
      v.since(2, "prompt_total", s.prompt_total);
      v.since(4, "drafted", s.drafted);
      v.since(4, "accepted", s.accepted);
    }
  };
  NodeId node;
  std::uint64_t step = 0;
  std::vector<Entry> entries;
  std::vector<std::uint32_t> converted = {};  ///< indices of entries whose prompts' pages came from other numbers: lossy
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("step", s.step);
    v("entries", s.entries, kMaxList);
    v.since(3, "converted", s.converted, kMaxList);
  }
};

/// Gateway to decode worker: tokens of a choice from `first_index` on are missing, send them again.
struct Resend {
  TROUPE_MESSAGE(Resend, 1, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t choice = 0;
  std::uint32_t first_index = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("choice", s.choice);
    v("first_index", s.first_index);
  }
};

/// Gateway to decode worker, decode worker to prefill worker.
struct Cancel {
  TROUPE_MESSAGE(Cancel, 1, 1);
  RequestId request;
  Epoch epoch;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
  }
};

/// Decode worker to prefill worker: compute the prompt's pages and send them to `data_address`.
struct PrefillRequest {
  TROUPE_MESSAGE(PrefillRequest, 4, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::string tenant;
  std::vector<TokenId> prompt;
  bool prompt_by_data = false;
  std::uint32_t tokens = 0;             ///< leading prompt tokens whose KV is wanted
  std::uint32_t skip_tokens = 0;        ///< of these, what the decode worker already holds (whole pages)
  std::string data_address;
  std::uint32_t deadline_ms = 0;
  std::int32_t priority = 0;            ///< higher goes first
  LeaseId lease;                        ///< of the reserved pages: frames carry it
  std::string host;                     ///< of who asks: equal ones share memory; empty: none
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("prompt_by_data", s.prompt_by_data);
    v("tokens", s.tokens);
    v("skip_tokens", s.skip_tokens);
    v("data_address", s.data_address);
    v("deadline_ms", s.deadline_ms);
    v.since(2, "priority", s.priority);
    v.since(3, "lease", s.lease);
    v.since(3, "host", s.host);
    v.since(4, "trace", s.trace);
  }
};

struct PrefillDone {
  TROUPE_MESSAGE(PrefillDone, 1, 1);
  RequestId request;
  Epoch epoch;
  std::optional<WireError> error;
  std::uint32_t frames = 0;             ///< sent in all, so that the receiver knows when it has them
  std::uint32_t cached_tokens = 0;      ///< served from the prefill worker's own cache
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("error", s.error);
    v("frames", s.frames);
    v("cached_tokens", s.cached_tokens);
  }
};

/// How one layer of a page lies in a frame: common/kv/page_format.hpp, which names `numbers` and `keys`.
struct PageShape {
  std::uint32_t page_tokens = 0;  ///< 0: not said, the pages are laid out as the receiver's
  std::uint32_t kv_heads = 0, key_dim = 0, value_dim = 0;
  std::uint8_t numbers = 0, keys = 0;
  bool operator==(const PageShape&) const = default;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("page_tokens", s.page_tokens);
    v("kv_heads", s.kv_heads);
    v("key_dim", s.key_dim);
    v("value_dim", s.value_dim);
    v("numbers", s.numbers);
    v("keys", s.keys);
  }
};

/// Header of a data-plane frame: layers x pages of one prompt, payload layer-major, one layer's page after another.
struct KvFrame {
  TROUPE_MESSAGE(KvFrame, 3, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::uint32_t frame = 0;              ///< counts up from 0 per request
  std::uint32_t first_layer = 0;
  std::uint32_t layers = 0;
  std::vector<std::uint32_t> pages;     ///< indices within the sequence
  std::uint32_t layer_page_bytes = 0;
  std::uint64_t checksum = 0;           ///< XXH3-64 of the payload
  LeaseId lease;                        ///< of the pages it is for; any other reservation refuses it
  PageShape shape = {};                 ///< of the sender's pages; `pages` counts in these
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("frame", s.frame);
    v("first_layer", s.first_layer);
    v("layers", s.layers);
    v("pages", s.pages);
    v("layer_page_bytes", s.layer_page_bytes);
    v("checksum", s.checksum);
    v.since(2, "lease", s.lease);
    v.since(3, "shape", s.shape);
  }
};

/// Receiver to sender on the data plane: the frame left the receiver's queue and its credit returns.
struct FrameAck {
  TROUPE_MESSAGE(FrameAck, 2, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t frame = 0;
  bool accepted = true;                 ///< false: nobody waits for this request, stop sending
  LeaseId lease;                        ///< as in the frame
  bool again = false;                   ///< with !accepted: it came damaged or cannot be mapped, send it once more, whole
  bool held = false;                    ///< with accepted: its memory is still read, the credit is yet to come
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("frame", s.frame);
    v("accepted", s.accepted);
    v.since(2, "lease", s.lease);
    v.since(2, "again", s.again);
    v.since(2, "held", s.held);
  }
};

/// Header of a data-plane frame whose payload is a long prompt's token ids (i32 each).
struct PromptFrame {
  TROUPE_MESSAGE(PromptFrame, 1, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t frame = 0;
  std::uint32_t tokens = 0;
  std::uint64_t checksum = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("frame", s.frame);
    v("tokens", s.tokens);
    v("checksum", s.checksum);
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

/// Kept in the directory under its request's id: enough to make the same answer again at any gateway.
struct RequestRecord {
  TROUPE_MESSAGE(RequestRecord, 1, 1);
  RequestId request;
  bool chat = false;
  bool stream = false;
  std::string body;            ///< as the client sent it
  std::vector<TokenId> prompt; ///< of a chat: its template may read the clock
  std::uint64_t seed = 0;
  std::int64_t created = 0;    ///< seconds since 1970, as the answer says
  ModelId model;               ///< other weights or numerics give another answer
  RequestId owner;             ///< hash of the client's credentials: nobody else may ask for it
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("chat", s.chat);
    v("stream", s.stream);
    v("body", s.body, kMaxRecordedBody);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("seed", s.seed);
    v("created", s.created);
    v("model", s.model);
    v("owner", s.owner);
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

/// Worker to worker: send the pages of these blocks that you hold to `data_address`, from the first block on and as far
/// as they follow each other. A long list comes in parts, in order. Keys are salted by tenant: who asks knows the prompt.
struct KvFetch {
  TROUPE_MESSAGE(KvFetch, 2, 1);
  RequestId request;
  Epoch epoch;
  LeaseId lease;                        ///< of the asker's reserved pages; names the fetch
  ModelId model;
  std::uint32_t first_block = 0;        ///< of keys[0]
  std::uint32_t blocks = 0;             ///< in all parts
  std::vector<BlockKey> keys;
  std::uint32_t skip_tokens = 0;        ///< what the asker already holds (whole pages)
  std::string data_address;
  std::string host;                     ///< of who asks: equal ones share memory; empty: none
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("lease", s.lease);
    v("model", s.model);
    v("first_block", s.first_block);
    v("blocks", s.blocks);
    v("keys", s.keys, kMaxBlocks);
    v("skip_tokens", s.skip_tokens);
    v("data_address", s.data_address);
    v("host", s.host);
    v.since(2, "trace", s.trace);
  }
};

struct KvFetched {
  TROUPE_MESSAGE(KvFetched, 1, 1);
  RequestId request;
  Epoch epoch;
  LeaseId lease;
  std::optional<WireError> error;
  bool done = false;                    ///< every frame left; false: a sign of life, frames follow
  std::uint32_t tokens = 0;             ///< leading ones whose pages were sent, skipped ones included
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("lease", s.lease);
    v("error", s.error);
    v("done", s.done);
    v("tokens", s.tokens);
  }
};

/// The asker needs no more frames of this fetch.
struct KvFetchCancel {
  TROUPE_MESSAGE(KvFetchCancel, 1, 1);
  LeaseId lease;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("lease", s.lease);
  }
};

/// Draining worker to gateway, again and again until they are gone: take these streams elsewhere. They go on here until
/// the gateway cancels them, their pages can be fetched.
struct Handover {
  TROUPE_MESSAGE(Handover, 1, 1);
  NodeId node;
  std::vector<std::pair<RequestId, Epoch>> streams;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("streams", s.streams, kMaxList);
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

/// Name of a message number; "unknown" outside message_ids.def.
[[nodiscard]] std::string_view message_name(std::uint16_t number);

/// Decodes and encodes again, whatever the message: the fuzzer's and the golden files' entry. Errors: wire_malformed, wire_version.
[[nodiscard]] Expected<std::vector<std::uint8_t>> recode(const Envelope& envelope);

}  // namespace wire
}  // namespace troupe
