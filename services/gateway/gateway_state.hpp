#pragma once
// The gateway's side of the cluster: a record per request that is enough to go on after any worker's death.
// It places, sends, puts answers in order without gaps or repeats, asks for what is missing, and replays
// prompt + emitted tokens under the next epoch when a worker is lost. Same seed, same positions: the stream
// continues as if nothing had happened.
//
//   start -> placing -> running -> done
//              ^           | worker gone, silent, or an error another worker may not make
//              +-----------+ epoch + 1, avoid
//
// A worker that drains offers its streams: they are placed anew while they go on, and until the new worker, which fetches
// their pages from the old one, speaks.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/actors/role_state.hpp"
#include "common/transport/data_plane.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/picture_book.hpp"
#include "services/gateway/retry_budget.hpp"
#include "services/gateway/last_view.hpp"
#include "services/gateway/trace_book.hpp"

namespace troupe::gateway {

struct GatewayOptions {
  NodeId node;
  wire::Release release = wire::own_release();
  std::string name = "gateway";
  std::string control_address;
  std::string router_address;
  std::vector<std::string> other_routers = {};  ///< turned to, in turn, when the one in use is gone
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration place_retry = std::chrono::seconds(1);      ///< an unanswered PlaceRequest is sent again
  Duration place_patience = std::chrono::seconds(10);  ///< without a router a new request waits this long
  Duration rejoin_patience =
      std::chrono::seconds(3);  ///< and this long for workers to join a new router again
  Duration replay_patience = std::chrono::seconds(30);  ///< a broken stream waits this long for a worker
  Duration probe_after = std::chrono::seconds(2);       ///< a silent stream is asked after
  Duration probe_timeout = std::chrono::seconds(4);     ///< and replayed when the worker does not answer
  Duration resend_timeout = std::chrono::milliseconds(200);
  std::uint32_t unanswered_places = 2;  ///< of one request in turn: then the router counts as gone
  std::uint32_t max_replays = 8;
  std::uint32_t max_deaths = 2;  ///< of workers that had a request: it may be what kills them
  Duration death_patience =
      std::chrono::seconds(1);  ///< the router says within this time whether a lost worker died
  /// Who listens to what becomes of requests, and to pictures of the cluster; neither may block.
  std::function<void(const RequestId&, std::string decode, std::string prefill)> on_placed = {};
  std::function<void(std::shared_ptr<const ClusterPicture>)> on_picture = {};
  std::function<void(const class GatewayState&)> on_tick;  ///< with every heartbeat, for those who only look
};

struct GatewayCounters {
  std::uint64_t started = 0, finished = 0, failed = 0, cancelled = 0;
  std::uint64_t replays = 0, resends = 0, probes = 0, quarantined = 0, replays_held = 0;
  std::uint64_t handovers = 0;  ///< streams moved from a draining worker while they went on
  std::uint64_t duplicate_tokens = 0, gaps = 0, stale_epochs = 0, unknown_requests = 0;
  std::uint64_t tokens = 0, malformed = 0, prompts_by_data = 0;
  std::uint64_t placed_by_view = 0, routers_lost = 0;
  std::uint64_t release_refusals = 0;  ///< joins that failed since releases were no neighbours
  std::uint64_t spans_received = 0, spans_dropped = 0;  ///< TraceBook::Counters
};

/// Sends a long prompt's frame. Must not block.
using SendPrompt = std::function<SendResult(const std::string& address, const wire::Envelope& header,
                                            const RequestId& request, FramePayload payload)>;

/// Sinks are called from within these methods.
class GatewayState final : public actors::RoleState {
 public:
  /// `on_models` hears every new table: all models seen so far, those without a ready worker too.
  GatewayState(GatewayOptions options, SendPrompt send_prompt,
               std::function<void(const std::vector<ServedModel>&)> on_models);

  void start(GenerateJob job, std::shared_ptr<AnswerSink> sink, TimePoint now, actors::Outbox& out);
  void cancel(const RequestId& id, TimePoint now, actors::Outbox& out);
  /// Ends every request with an error (a drain whose time is over).
  void fail_all(const Error& error, TimePoint now, actors::Outbox& out);
  void leave(actors::Outbox& out);
  /// The cluster's routers as a directory lists them; the one in use is kept until it is lost. An empty list is no news.
  void meet_routers(const std::vector<std::string>& addresses);
  /// Reports of the cluster are wanted for a little while.
  void watch(actors::Outbox& out);
  static void operate(const NodeId& worker, const std::string& address, wire::Operation operation, actors::Outbox& out);

  void receive(const std::string& from, const wire::Envelope& message, TimePoint now,
               actors::Outbox& out) override;
  void tick(TimePoint now, actors::Outbox& out) override;
  void peer_lost(const std::string& address, TimePoint now, actors::Outbox& out) override;
  [[nodiscard]] TimePoint wake_at() const override { return wake_at_; }

  [[nodiscard]] std::size_t in_flight() const { return requests_.size(); }
  [[nodiscard]] GatewayCounters counters() const;
  [[nodiscard]] bool joined() const { return joined_; }

 private:
  struct Choice {
    std::vector<TokenId> emitted;
    bool finished = false;
    TimePoint heard;                  ///< the worker last spoke of it
    std::optional<TimePoint> probed;  ///< asked and not answered since
    std::optional<TimePoint> gap_asked;
    Epoch drafts_epoch;               ///< of `drafts`
    DraftUsage drafts, earlier;       ///< of this placement, and of those before
  };
  enum class Phase : std::uint8_t { placing, prompting, running };
  /// A running request on its way from a draining worker to another one.
  struct Move {
    Epoch asked;                           ///< of the placement to come
    TimePoint ask_at;                      ///< the router may be asked again from then on
    bool placed = false;                   ///< the new worker has it; the old one goes on
    Epoch old_epoch;
    wire::Placement old;
    std::set<std::uint32_t> silent;        ///< choices the new worker has not spoken of
  };
  struct Request {
    GenerateJob job;
    std::shared_ptr<AnswerSink> sink;
    ModelId model;
    Phase phase = Phase::placing;
    Epoch epoch{1};
    Epoch asked{1};  ///< highest a placement was asked for
    std::optional<Move> move;
    std::vector<Choice> choices;
    std::vector<NodeId> avoid;   ///< decode workers that failed it
    std::vector<NodeId> deaths;  ///< workers that died while they had it
    std::uint32_t lost = 0;      ///< workers out of reach while they had it, dead or not
    std::uint32_t replays = 0;  ///< since the last new token
    bool replayed = false;
    bool needs_budget = false;  ///< its next placement is a retry of a retry
    wire::Placement placement;
    std::uint32_t unanswered = 0;  ///< PlaceRequests without an answer
    TimePoint ask_at;  ///< next PlaceRequest, or next try to send the prompt frames
    TimePoint began;
    TimePoint give_up_at;  ///< of placing
    bool started = false;
    TimePoint sent;           ///< the order of this placement
    bool start_told = false;  ///< the router knows when its first token came
    std::vector<GeneratedToken> prompt_logprobs;
    struct Frame {
      wire::Envelope header;
      FramePayload payload;
    };
    std::vector<Frame> frames;  ///< long prompts that could not leave yet
  };
  using Requests = std::map<RequestId, Request>;

  // gateway_placing.cpp: from a request to a worker that has it
  void ask_placement(Request& request, TimePoint now, actors::Outbox& out);
  void ask_router(const Request& request, Epoch epoch, std::vector<NodeId> avoid, TimePoint now, actors::Outbox& out);
  /// While no router answers. false: the last view has no worker for it.
  [[nodiscard]] bool place_by_view(Request& request, TimePoint now, actors::Outbox& out);
  void on_placement(const wire::Placement& placement, TimePoint now, actors::Outbox& out);
  void on_refused(const wire::PlaceRefused& refused, TimePoint now, actors::Outbox& out);
  void send_generates(Request& request, TimePoint now, actors::Outbox& out);
  void send_generate(Request& request, std::uint32_t first_choice, std::uint32_t choices, TimePoint now,
                     actors::Outbox& out);
  void send_embed(Request& request, TimePoint now, actors::Outbox& out);
  /// Generate or Embed; a prompt too long for it goes by itself.
  template <class Order>
  void send_order(Request& request, Order order, std::uint32_t first_choice, TimePoint now, actors::Outbox& out);
  void send_frames(Request& request, TimePoint now);
  [[nodiscard]] std::vector<TokenId> prompt_of(const Request& request, std::uint32_t choice) const;
  /// false: it ended with `why` instead.
  bool replay(Requests::iterator at, const Error& why, TimePoint now, actors::Outbox& out);
  /// Ends choices that already have all their tokens. true: the request is over.
  bool settle_choices(Requests::iterator at, TimePoint now, actors::Outbox& out);
  void end_placement(const Request& request, actors::Outbox& out);

  // gateway_moves.cpp: from a draining worker to another, without a break
  void on_handover(const wire::Handover& offer, TimePoint now, actors::Outbox& out);
  void move_to(Request& request, const wire::Placement& placement, TimePoint now, actors::Outbox& out);
  /// The new worker made tokens of a choice.
  void moved(Request& request, std::uint32_t choice, TimePoint now, actors::Outbox& out);
  /// The old worker may forget it.
  void end_move(Request& request, actors::Outbox& out);

  // gateway_answers.cpp: from entries to sinks
  void on_tokens(const std::string& from, const wire::Tokens& message, TimePoint now, actors::Outbox& out);
  void on_entry(const std::string& from, const wire::Tokens::Entry& entry, bool converted, TimePoint now,
                actors::Outbox& out);
  [[nodiscard]] bool take_echo(Request& request, const wire::Tokens::Entry& entry);
  static std::uint64_t note_drafts(Choice& choice, const wire::Tokens::Entry& entry);
  void on_vector(wire::EmbedReply reply, TimePoint now, actors::Outbox& out);
  void tell_start(Request& request, std::uint32_t cached_tokens, TimePoint now, actors::Outbox& out);
  void ask_again(Request& request, std::uint32_t choice, TimePoint now, actors::Outbox& out);
  void finish(Requests::iterator at, TimePoint now, actors::Outbox& out);
  void fail_request(Requests::iterator at, const Error& error, TimePoint now, actors::Outbox& out);

  // gateway_routers.cpp: which router is asked, and what is known without one
  [[nodiscard]] const std::string& router() const { return routers_[router_]; }
  [[nodiscard]] bool is_router(const std::string& from) const;
  void on_join_reply(const std::string& from, const wire::JoinReply& reply, TimePoint now);
  void on_join_refused(const wire::WireError& why, TimePoint now);
  void lose_router(TimePoint now);
  void on_models(const wire::ModelTable& table, TimePoint now);
  void publish_models(TimePoint now);
  void settle_router(TimePoint now);
  void beat(actors::Outbox& out);
  void publish_picture(bool changed);
  void tell_placed(const Request& request, TimePoint now);

  void on_worker_gone(const wire::WorkerGone& gone, TimePoint now, actors::Outbox& out);
  /// false: it was one death too many, and the request is over.
  bool outlives(Requests::iterator at, const NodeId& dead, TimePoint now, actors::Outbox& out);
  bool check_timers(Requests::iterator at, TimePoint now, actors::Outbox& out);

  GatewayOptions options_;
  SendPrompt send_prompt_;
  std::function<void(const std::vector<ServedModel>&)> on_models_;
  std::map<std::string, wire::ModelTable::Row> models_;
  Requests requests_;
  RetryBudget retries_;
  std::vector<std::string> routers_;  ///< as configured
  std::size_t router_ = 0;            ///< the one in use
  std::string router_signs_;          ///< the address it signs its mail with
  NodeId router_id_;                  ///< of the router that last took this gateway in
  std::string told_;                  ///< why a router did not take this gateway in, as logged
  std::optional<TimePoint> settled_at_;  ///< until then that router may not know its workers yet
  wire::ModelTable table_;
  LastView view_;
  PictureBook pictures_;
  TraceBook traces_;
  bool joined_ = false;
  bool left_ = false;
  TimePoint next_beat_{};
  TimePoint wake_at_{};
  GatewayCounters counters_;
};

}  // namespace troupe::gateway
