#pragma once
// What a prefill or decode worker decides: streams and their stages, imports with fallback, prefills for
// others, membership. It speaks to its engines through EngineDoor only, so a test drives it with a
// synchronous one.
//
//   Generate --> [prompt by data?] --> submit --> running --> done --> forgotten (RequestEnded, cancel or
//   lease)
//                        |                ^
//                        +-> reserve -> import (PrefillRequest, frames, PrefillDone) -> commit
//                                       or     (KvFetch, frames, KvFetched)
//                                       a prefill worker may draw the first token: it is told before the pages come
//                                 any failure: cancel, then submit here
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/actors/role_state.hpp"
#include "common/worker/commands.hpp"
#include "common/worker/counters.hpp"
#include "common/worker/import_table.hpp"
#include "common/worker/kv_announcer.hpp"
#include "common/worker/stream_spans.hpp"

namespace troupe::worker {

/// The way to engines and data plane. Must not block.
class EngineDoor {
 public:
  virtual ~EngineDoor() = default;
  virtual void post(std::size_t engine, Command command) = 0;
  /// Sums over engines, for the heartbeat.
  [[nodiscard]] virtual std::uint64_t progress() const = 0;
  [[nodiscard]] virtual bool busy() const = 0;
  [[nodiscard]] virtual ImportTable& imports() = 0;
  [[nodiscard]] virtual SendResult send(const std::string& address, const wire::Envelope& header,
                                        const RequestId& request, FramePayload payload) = 0;
  virtual void drop_frames(const RequestId& request) = 0;
};

struct WorkerOptions {
  wire::Role role = wire::Role::decode;
  std::string name;
  std::string control_address;
  std::string data_address;
  std::string host;  ///< DataPlane::host
  std::string router_address;
  std::vector<std::string> other_routers = {};  ///< joined too, so that any of them can place
  NodeId node;
  wire::Release release = wire::own_release();
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration lease = std::chrono::seconds(30);
  Duration gateway_grace =
      std::chrono::seconds(4);                   ///< a lost gateway may come back for its streams this long
  std::uint32_t max_streams = 4096;              ///< held, finished ones included
  std::uint32_t max_prompts = 64;                ///< long prompts that wait for their message
  std::uint32_t max_exports = 1024;              ///< fetches of others under way
  Duration ask_again = std::chrono::seconds(1);  ///< a silent source of pages is asked again
  Duration fetch_patience = std::chrono::seconds(5);  ///< and given up, if it is a peer's cache
  Duration offer_again = std::chrono::seconds(1);     ///< of a draining worker's streams to their gateways
  Conversion conversion = Conversion::exact;          ///< of pages that come in another format
  bool kv_to_router = true;  ///< tell the router which blocks are held; else it predicts
  std::function<void(std::size_t engine, kv_events::EventBatch)>
      kv_sink;                         ///< for those who follow KV events by other ways; none: nobody does
  std::function<void()> on_kill = {};  ///< what a kill order does; none: it is refused
  /// A choice came to its end. Must not block.
  std::function<void(std::size_t engine, const engine::StageTimes&)> on_finished;
  std::function<void(const class WorkerState&)>
      on_tick;  ///< with every heartbeat and report, for those who only look
};

struct ServedModel {
  wire::ModelInfo info;
  std::uint32_t capacity = 0;  ///< running and waiting sequences
  std::uint32_t page_tokens = 64;
  ModelId weights = {};  ///< the same for every way to compute with them; zero: not known
};

class WorkerState final : public actors::RoleState {
 public:
  /// One entry of `models` per engine of the door, in its order.
  WorkerState(WorkerOptions options, std::vector<ServedModel> models, EngineDoor& door);

  void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
               actors::Outbox& out) override;
  void tick(TimePoint now, actors::Outbox& out) override;
  void peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) override;
  [[nodiscard]] TimePoint wake_at() const override { return wake_at_; }

  void on_reports(std::size_t engine, ReportBatch batch, TimePoint now, actors::Outbox& out);
  /// A PromptFrame came by the data plane.
  void on_prompt(const wire::PromptFrame& header, FramePayload payload, TimePoint now, actors::Outbox& out);
  /// Refuses what is new. Streams go on, and their gateways are asked to take them elsewhere.
  void drain(TimePoint now, actors::Outbox& out);
  void leave(actors::Outbox& out);
  /// The cluster's routers as a directory lists them: those that are new are joined, those that are not listed and do not
  /// answer are forgotten. An empty list is no news.
  void meet_routers(const std::vector<std::string>& addresses, TimePoint now);

  [[nodiscard]] WorkerCounters counters() const;
  [[nodiscard]] wire::Role role() const { return options_.role; }
  [[nodiscard]] const std::vector<engine::EngineStats>& stats() const { return stats_; }
  /// Work of others that is not over.
  [[nodiscard]] std::size_t active() const;

 private:
  enum class Phase : std::uint8_t { prompt, reserving, importing, committing, running, done };
  struct Choice {
    std::uint32_t first_index = 0;
    std::vector<GeneratedToken> tokens;
    FinishReason finish = FinishReason::none;
    std::uint32_t drafted = 0, accepted = 0;
    std::optional<double> score = {};
  };
  struct StreamKey {
    RequestId request;
    Epoch epoch;
    std::uint32_t first_choice = 0;
    auto operator<=>(const StreamKey&) const = default;
  };
  /// Pages that are on their way here.
  struct Import {
    LeaseId lease;
    bool fetch = false;   ///< from a peer's cache, not from a prefill worker
    ModelId model;        ///< of the source, where it computes with other numbers
    std::string address;  ///< its control plane
    std::vector<std::uint8_t> draw_order;  ///< what a prefill worker draws the first token by; empty: it does not
    std::uint32_t tokens = 0, skip_tokens = 0, arrived_tokens = 0;
    std::optional<std::uint32_t>
        sent_tokens;  ///< the source is done: what its frames and the skipped ones cover
    TimePoint asked, ask_at;
    [[nodiscard]] const ModelId& source(const wire::Generate& order) const {
      return model.is_zero() ? order.model : model;
    }
  };
  struct Stream {
    wire::Generate order;
    std::string gateway;
    std::size_t engine = 0;
    RequestId engine_id;
    std::uint32_t attempt = 0;
    Phase phase = Phase::prompt;
    std::optional<TimePoint> deadline;
    TimePoint lease;
    std::optional<TimePoint> orphaned_at;
    bool offered = false;  ///< its gateway was asked to take it elsewhere
    Import import;
    std::optional<TokenId> drawn;                ///< the answer's first token here, by a prefill worker; it is told
    bool converted = false;                      ///< its prompt's pages were made of other numbers
    std::optional<std::uint32_t> cached_tokens;  ///< counted by the prefill worker
    std::uint32_t engine_cached = 0;
    std::vector<Choice> choices;
    std::vector<GeneratedToken> prompt_tokens;
    std::optional<Error> error;
    std::unique_ptr<StreamSpans> spans;  ///< of a recorded request
    Pooling pooling = Pooling::none;     ///< not none: it came as an Embed, and `vector` is its answer
    std::vector<float> vector;
  };
  struct PrefillKey {
    RequestId request;
    Epoch epoch;
    auto operator<=>(const PrefillKey&) const = default;
  };
  struct PrefillJob {
    wire::PrefillRequest order;
    std::string decode;
    std::size_t engine = 0;
    RequestId engine_id;
    bool waits_for_prompt = false;
    TimePoint lease;
    std::optional<wire::Generate> stream;    ///< what it is for, where its first token is wanted
    std::optional<GeneratedToken> drawn;
    std::unique_ptr<actors::SpanLog> spans;  ///< of a recorded request
  };
  struct ExportJob {
    wire::KvFetch order;
    std::string to;
    std::size_t engine = 0;
    RequestId engine_id;
    bool running = false;  ///< every part of the order came
    TimePoint lease;
    std::unique_ptr<actors::SpanLog> spans;  ///< of a recorded request
  };
  struct ParkedPrompt {
    std::vector<TokenId> tokens;
    TimePoint lease;
  };
  struct RouterLink {
    std::string address;   ///< as configured
    std::string known_as;  ///< as it signs its mail
    bool joined = false;
    bool refused = false;  ///< for good
    std::string told = {};  ///< why it does not take this node in, as logged
  };
  struct Feed {  // KV events of one engine to the router
    std::uint64_t sequence = 0;
    bool snapshot_pending = false;
  };
  using Batches = std::map<std::string, std::vector<wire::Tokens::Entry>>;

  // worker_streams.cpp: what gateways ask
  void on_generate(const std::string& from, wire::Generate order, TimePoint now, actors::Outbox& out,
                   Pooling pooling = Pooling::none);
  void on_embed(const std::string& from, wire::Embed order, TimePoint now, actors::Outbox& out);
  bool send_vector(const StreamKey& key, const Stream& stream, actors::Outbox& out) const;
  void begin(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out);
  void submit(const StreamKey& key, Stream& stream, TimePoint now);
  [[nodiscard]] engine::Request engine_request(const StreamKey& key, Stream& stream, bool keep_prompt);
  void on_resend(const std::string& from, const wire::Resend& message, actors::Outbox& out);
  void on_cancel(const RequestId& request, Epoch epoch, TimePoint now, actors::Outbox& out);
  void on_token_event(engine::TokenEvent event, TimePoint now, Batches& batches, actors::Outbox& out);
  void fail_stream(const StreamKey& key, Stream& stream, Error error, TimePoint now, actors::Outbox& out);
  void erase_stream(std::map<StreamKey, Stream>::iterator at, TimePoint now, actors::Outbox& out);
  void resend_from(const StreamKey& key, const Stream& stream, std::uint32_t choice, std::uint32_t index,
                   std::vector<wire::Tokens::Entry>& entries) const;
  void send_tokens(const std::string& gateway, std::vector<wire::Tokens::Entry> entries, actors::Outbox& out);
  [[nodiscard]] bool is_converted(const wire::Tokens::Entry& entry) const;
  void refuse(const std::string& gateway, const wire::Generate& order, Error error, actors::Outbox& out);
  [[nodiscard]] std::map<StreamKey, Stream>::iterator find_stream(const RequestId& engine_id);

  // worker_imports.cpp: pages from a prefill worker or from a peer's cache
  [[nodiscard]] Import wanted_import(const Stream& stream);
  void on_reserved(const Reserved& report, TimePoint now, actors::Outbox& out);
  void heard_source(Stream& stream, TimePoint now) const;
  void ask_source(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out);
  [[nodiscard]] static std::uint32_t asked_tokens(const Stream& stream);
  void ask_prefill(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out);
  void ask_peer(const StreamKey& key, const Stream& stream, actors::Outbox& out) const;
  void ask_sources_again(TimePoint now, actors::Outbox& out);
  void on_fetched(const wire::KvFetched& message, TimePoint now, actors::Outbox& out);
  void on_imported(const Imported& report, TimePoint now);
  void on_prefill_done(const wire::PrefillDone& message, TimePoint now, actors::Outbox& out);
  void take_first(const StreamKey& key, Stream& stream, const wire::PrefillDone& message, TimePoint now, actors::Outbox& out);
  void end_with_first(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out);
  void commit_if_whole(Stream& stream);
  void on_committed(const Committed& report, TimePoint now, actors::Outbox& out);
  void fall_back(const StreamKey& key, Stream& stream, const Error& why, TimePoint now, actors::Outbox& out);
  void release_import(const StreamKey& key, Stream& stream, actors::Outbox& out);
  void on_refused(std::size_t engine, const Refused& report, TimePoint now, actors::Outbox& out);

  // worker_prefills.cpp: prompts computed for others
  void on_prefill_request(const std::string& from, wire::PrefillRequest order, TimePoint now,
                          actors::Outbox& out);
  void begin_prefill(const PrefillKey& key, PrefillJob& job, TimePoint now);
  void on_drawn(const Drawn& report, actors::Outbox& out);
  void on_prefilled(const Prefilled& report, TimePoint now, actors::Outbox& out);
  void cancel_prefill(const RequestId& request, Epoch epoch);
  [[nodiscard]] std::optional<std::vector<TokenId>> claim_prompt(const StreamKey& key, std::uint32_t tokens);

  // worker_exports.cpp: cached pages for others, and streams for others
  void on_fetch(const std::string& from, wire::KvFetch order, TimePoint now, actors::Outbox& out);
  void on_exported(const Exported& report, TimePoint now, actors::Outbox& out);
  void cancel_export(LeaseId lease);
  void expire_exports(TimePoint now);
  void offer_streams(TimePoint now, actors::Outbox& out);

  // worker_spans.cpp: what is told of recorded requests
  [[nodiscard]] actors::SpanSource span_source(const RequestId& request, Epoch epoch, std::uint32_t choice) const;
  static void tell_spans(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out);
  void on_spans(wire::Spans message, TimePoint now, actors::Outbox& out);
  static void tell_prefill(const PrefillKey& key, PrefillJob& job, const Prefilled& report, TimePoint now, actors::Outbox& out);
  static void tell_export(ExportJob& job, const Exported& report, TimePoint now, actors::Outbox& out);

  // worker_membership.cpp
  void beat(TimePoint now, actors::Outbox& out);
  void join(const RouterLink& link, actors::Outbox& out);
  [[nodiscard]] wire::Heartbeat heartbeat() const;
  void on_join_reply(const std::string& from, const wire::JoinReply& reply, TimePoint now, actors::Outbox& out);
  void on_join_refused(RouterLink& link, const wire::WireError& why, TimePoint now);
  [[nodiscard]] RouterLink* link_of(const std::string& from, const std::string& dialled);
  [[nodiscard]] bool joined() const;
  template <class M>
  void tell_routers(const M& message, actors::Outbox& out) const {
    for (const RouterLink& link : routers_)
      if (link.joined) out.send(link.address, message);
  }
  void ask_snapshots();
  void publish_kv(std::size_t engine, const std::vector<engine::KvEvent>& events, actors::Outbox& out);
  void announce_kv(std::size_t engine, const std::vector<engine::KvEvent>& events);
  void announce_snapshots();
  void publish_snapshot(std::size_t engine, const Blocks& blocks, actors::Outbox& out);
  void expire(TimePoint now, actors::Outbox& out);
  void on_change_role(const wire::ChangeRole& order, TimePoint now, actors::Outbox& out);
  void on_operate(const wire::Operate& order, TimePoint now, actors::Outbox& out);
  void change_role_if_drained(TimePoint now, actors::Outbox& out);
  [[nodiscard]] bool refuses_new() const { return draining_ || held_out_ || role_change_.has_value(); }

  [[nodiscard]] std::optional<std::size_t> engine_of(const ModelId& model) const;
  [[nodiscard]] RequestId next_engine_id();

  WorkerOptions options_;
  std::vector<ServedModel> models_;
  EngineDoor& door_;
  std::vector<engine::EngineStats> stats_;
  std::vector<Feed> feeds_;
  std::vector<KvAnnouncer> announcers_;  // one per engine; fed where there is a sink
  std::map<StreamKey, Stream> streams_;
  std::unordered_map<RequestId, StreamKey> stream_of_;
  std::map<PrefillKey, PrefillJob> prefills_;
  std::unordered_map<RequestId, PrefillKey> prefill_of_;
  std::map<LeaseId, ExportJob> exports_;
  std::unordered_map<RequestId, LeaseId> export_of_;
  std::map<StreamKey, ParkedPrompt> parked_;  // a frame is numbered by its stream's first choice
  std::deque<StreamKey> finished_;            // oldest first
  std::uint64_t step_ = 0;
  std::uint64_t next_id_ = 0;
  std::vector<RouterLink> routers_;
  bool left_ = false;
  bool draining_ = false;  // for good: the process ends
  bool held_out_ = false;  // drained by a person, who may take it back
  struct RoleChange {
    wire::Role to;
    TimePoint deadline;
  };
  std::optional<RoleChange> role_change_;  // it drains for this
  bool refused_ = false;
  TimePoint offer_at_{};  // next time a draining worker names its streams
  TimePoint next_beat_{};
  TimePoint wake_at_{};
  WorkerCounters counters_;
};

}  // namespace troupe::worker
