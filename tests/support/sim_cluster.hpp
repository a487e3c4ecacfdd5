#pragma once
// A whole cluster of state classes in one thread under a virtual clock: messages, frames and engine steps
// happen one at a time, in an order drawn from a seed; messages may be lost, repeated or overtake each other;
// nodes may die or hang.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "common/worker/engine_runner.hpp"
#include "common/worker/worker_state.hpp"
#include "services/gateway/gateway_state.hpp"
#include "services/router/router_state.hpp"
#include "tests/support/fake_engine.hpp"

namespace troupe::test {

/// An answer as the edge would collect it; fails loudly on a call out of turn.
class RecordingSink final : public gateway::AnswerSink {
 public:
  void on_start(gateway::AnswerStart start) override {
    TROUPE_CHECK(!started && !over(), "on_start out of turn");
    started = true;
    cached_tokens = start.cached_tokens;
    prompt_logprobs = std::move(start.prompt_logprobs);
    converted = start.converted_pages;
  }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    TROUPE_CHECK(started && !over(), "on_tokens out of turn");
    TROUPE_CHECK(!finishes.contains(choice), "tokens after the end of a choice");
    for (const GeneratedToken& token : tokens) answers[choice].push_back(token.token);
    if (finish != FinishReason::none) finishes[choice] = finish;
  }
  void on_score(std::uint32_t choice, double score) override {
    TROUPE_CHECK(started && !finishes.contains(choice), "a score out of turn");
    scores[choice] = score;
  }
  void on_vector(std::vector<float> of) override {
    TROUPE_CHECK(started && !over() && vector.empty(), "a vector out of turn");
    vector = std::move(of);
  }
  void on_done(const gateway::DraftUsage& used) override {
    TROUPE_CHECK(!over(), "on_done twice");
    done = true;
    drafts = used;
  }
  void on_error(const Error& e) override {
    TROUPE_CHECK(!over(), "on_error out of turn");
    error = e;
  }
  [[nodiscard]] bool over() const { return done || error.has_value(); }

  bool started = false, done = false, converted = false;
  std::uint32_t cached_tokens = 0;
  std::vector<GeneratedToken> prompt_logprobs;
  std::map<std::uint32_t, std::vector<TokenId>> answers;
  std::map<std::uint32_t, FinishReason> finishes;
  std::map<std::uint32_t, double> scores;
  std::optional<Error> error;
  gateway::DraftUsage drafts;
  std::vector<float> vector;
};

struct SimFaults {
  double lose = 0, repeat = 0, overtake = 0;  ///< of control messages
  double lose_frame = 0, repeat_frame = 0, overtake_frame = 0;
};

class SimCluster {
 public:
  explicit SimCluster(std::uint64_t seed = 1, SimFaults faults = {}) : rng_(seed), faults_(faults) {}

  struct Worker final : worker::EngineDoor {
    SimCluster* sim = nullptr;
    std::string address, data_address;
    std::unique_ptr<FakeEngine> engine;
    std::unique_ptr<worker::EngineRunner> runner;
    std::unique_ptr<worker::WorkerState> state;
    worker::ImportTable table;
    std::deque<worker::Command> commands;
    bool alive = true, frozen = false;  ///< frozen: the engine's thread stands still

    void post(std::size_t, worker::Command command) override { commands.push_back(std::move(command)); }
    std::uint64_t progress() const override { return engine->progress(); }
    bool busy() const override { return !commands.empty() || runner->has_work(); }
    worker::ImportTable& imports() override { return table; }
    SendResult send(const std::string& to, const wire::Envelope& header, const RequestId& request,
                    FramePayload payload) override {
      return sim->send_frame(to, header, request, std::move(payload));
    }
    void drop_frames(const RequestId&) override {}
  };

  void add_router(router::RouterOptions options = {}) {
    options.node = node("router" + std::to_string(++routers_made_));
    options.release = release;
    router = std::move(*router::RouterState::create(options));
    router_alive = true;
  }
  /// A second router; before gateways and workers, which learn of it as they are made.
  void add_spare_router() {
    router::RouterOptions options;
    options.node = node("router-b");
    options.release = release;
    spare = std::move(*router::RouterState::create(options));
    spare_alive = true;
  }
  /// Its process dies; add_router() starts another in its place.
  void kill_router() {
    router_alive = false;
    lose_peer("tcp://router");
  }
  void add_gateway() {
    gateway::GatewayOptions options;
    options.node = node("gateway");
    options.release = release;
    options.control_address = "tcp://gateway";
    options.router_address = "tcp://router";
    if (spare_alive) options.other_routers = {"tcp://router-b"};
    options.name = "gateway-0";
    gateway = std::make_unique<gateway::GatewayState>(
        options,
        [this](const std::string& to, const wire::Envelope& header, const RequestId& request,
               FramePayload payload) { return send_frame(to, header, request, std::move(payload)); },
        [this](const std::vector<gateway::ServedModel>& table) { models = table; });
  }
  Worker& add_worker(wire::Role role, const std::string& name, FakeEngineOptions engine = {},
                     worker::Conversion conversion = worker::Conversion::exact) {
    auto made = std::make_unique<Worker>();
    Worker& worker = *made;
    worker.sim = this;
    worker.address = "tcp://" + name;
    worker.data_address = "tcp://data-" + name;
    engine.clock = &clock;
    worker.engine = std::make_unique<FakeEngine>(engine);
    worker.runner = std::make_unique<worker::EngineRunner>(
        *worker.engine,
        [this](const std::string& to, const wire::Envelope& header, const RequestId& request,
               FramePayload payload) { return send_frame(to, header, request, std::move(payload)); });
    worker::WorkerOptions options;
    options.role = role;
    options.name = name;
    options.control_address = worker.address;
    options.data_address = worker.data_address;
    options.router_address = "tcp://router";
    if (spare_alive) options.other_routers = {"tcp://router-b"};
    options.node = node(name);
    options.release = release;
    options.conversion = conversion;
    worker::ServedModel model;
    model.info = {"fake",
                  worker.engine->model_id(),
                  1u << 20,
                  engine.layers,
                  static_cast<std::uint32_t>(worker.engine->layer_page_bytes()),
                  "fake-numerics"};
    model.page_tokens = engine.page_tokens;
    model.weights = {77, 88};
    model.capacity = engine.max_sequences + engine.queue;
    worker.state = std::make_unique<worker::WorkerState>(options, std::vector{model}, worker);
    workers[name] = std::move(made);
    return worker;
  }
  /// The process dies: nothing more comes from it, and its connections end.
  void kill(const std::string& name) {
    Worker& dead = *workers.at(name);
    dead.alive = false;
    lose_peer(dead.address);
  }
  /// The process ends in order, whatever it still has.
  void leave(const std::string& name) {
    Worker& worker = *workers.at(name);
    actors::Outbox out;
    out.send("tcp://router", wire::Leave{node(name), "its drain took too long"});
    deliver(worker.address, out);
    worker.alive = false;
  }
  void drain(const std::string& name) {
    Worker& worker = *workers.at(name);
    actors::Outbox out;
    worker.state->drain(clock.now(), out);
    deliver(worker.address, out);
  }
  /// Frames that were delivered while keep_frames was set come again. Returns how many.
  std::size_t replay_kept_frames() {
    const std::vector<Frame> kept = std::exchange(kept_, {});
    for (const Frame& frame : kept) deliver_frame(frame);
    return kept.size();
  }
  void lose_peer(const std::string& address) {
    actors::Outbox out;
    if (router_alive) router->peer_lost(address, clock.now(), out);
    deliver("tcp://router", out);
    if (spare_alive) spare->peer_lost(address, clock.now(), out);
    deliver("tcp://router-b", out);
    gateway->peer_lost(address, clock.now(), out);
    deliver("tcp://gateway", out);
    for (auto& [name, worker] : workers) {
      if (!worker->alive) continue;
      worker->state->peer_lost(address, clock.now(), out);
      deliver(worker->address, out);
    }
  }

  std::shared_ptr<RecordingSink> start(gateway::GenerateJob job) {
    auto sink = std::make_shared<RecordingSink>();
    actors::Outbox out;
    gateway->start(std::move(job), sink, clock.now(), out);
    deliver("tcp://gateway", out);
    return sink;
  }
  void cancel(const RequestId& id) {
    actors::Outbox out;
    gateway->cancel(id, clock.now(), out);
    deliver("tcp://gateway", out);
  }

  /// One event, or, when there is none, time moves to the next tick.
  void step() {
    if (clock.now() >= next_tick_) tick_all();
    std::vector<std::function<void()>> events;
    for (auto& [pair, queue] : links_)
      if (!queue.empty()) events.push_back([this, &queue, to = pair.second] { deliver_one(queue, to); });
    if (!frames_.empty()) events.push_back([this] { deliver_next_frame(); });
    for (auto& [name, worker] : workers) {
      Worker* w = worker.get();
      if (w->alive && !w->frozen && w->busy()) events.push_back([this, w] { run_engine(*w); });
    }
    clock.advance(std::chrono::milliseconds(1));
    if (events.empty()) return clock.advance(std::chrono::milliseconds(10));
    events[rng_() % events.size()]();
  }
  /// Until `done` or `limit` of virtual time has passed. false: it did not happen.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::minutes(5)) {
    const TimePoint end = clock.now() + limit;
    while (!done()) {
      if (clock.now() >= end) return false;
      step();
    }
    return true;
  }
  void run_for(Duration span) {
    (void)run_until([] { return false; }, span);
  }
  bool ready(std::size_t decoders) {
    return run_until([&] { return !models.empty() && models[0].ready_workers == decoders; });
  }
  /// Nothing is held anywhere.
  [[nodiscard]] std::string leftovers() const {
    std::string text;
    if (gateway->in_flight() != 0) text += " gateway.in_flight";
    if (router_alive && router->placements() != 0) text += " router.placements";
    if (spare_alive && spare->placements() != 0) text += " spare.placements";
    for (const auto& [name, worker] : workers) {
      if (!worker->alive) continue;
      const auto counters = worker->state->counters();
      if (counters.streams != 0) text += " " + name + ".streams";
      if (counters.prefills_running != 0) text += " " + name + ".prefills";
      if (counters.exports_running != 0) text += " " + name + ".exports";
      if (worker->engine->held() != 0) text += " " + name + ".engine";
      if (worker->table.size() != 0) text += " " + name + ".imports";
      if (counters.prompts_parked != 0) text += " " + name + ".prompts";
    }
    return text;
  }

  ManualClock clock;
  std::unique_ptr<router::RouterState> router, spare;
  std::unique_ptr<gateway::GatewayState> gateway;
  std::map<std::string, std::unique_ptr<Worker>> workers;
  std::vector<gateway::ServedModel> models;
  bool router_alive = false, spare_alive = false;
  std::uint64_t frames_delivered = 0, frames_refused = 0, frames_lost = 0, messages = 0, lost = 0;
  std::uint64_t lose_frames = 0;  ///< the next so many KV frames
  bool keep_frames = false;
  wire::Release release = wire::own_release();  ///< of gateways and workers that are made from now on
  std::size_t window = 4;
  /// Called before a control message is delivered; false drops it.
  std::function<bool(const std::string& from, const std::string& to, const wire::Envelope&)> filter;
  std::function<void(wire::Envelope&)> change;  ///< before that: what another release would have written

 private:
  struct Letter {
    std::string from;
    wire::Envelope message;
  };
  struct Frame {
    std::string to;
    wire::Envelope header;
    RequestId request;
    FramePayload payload;
  };

  static NodeId node(const std::string& name) { return Hasher().text(name).finish<NodeId>(); }
  double chance() { return std::uniform_real_distribution<double>(0, 1)(rng_); }

  void deliver(const std::string& from, actors::Outbox& out) {
    for (actors::Outgoing& message : out.take()) {
      if (faults_.lose != 0 && chance() < faults_.lose) {
        ++lost;
        continue;
      }
      auto& queue = links_[{from, message.to}];
      Letter letter{from, std::move(message.message)};
      if (faults_.repeat != 0 && chance() < faults_.repeat) queue.push_back(letter);
      if (faults_.overtake != 0 && !queue.empty() && chance() < faults_.overtake)
        queue.push_front(std::move(letter));
      else
        queue.push_back(std::move(letter));
    }
  }
  void deliver_one(std::deque<Letter>& queue, const std::string& to) {
    Letter letter = std::move(queue.front());
    queue.pop_front();
    ++messages;
    if (change) change(letter.message);
    if (filter && !filter(letter.from, to, letter.message)) return;
    actors::Outbox out;
    if (to == "tcp://router") {
      if (router_alive) router->receive(letter.from, letter.message, clock.now(), out);
    } else if (to == "tcp://router-b") {
      if (spare_alive) spare->receive(letter.from, letter.message, clock.now(), out);
    } else if (to == "tcp://gateway") {
      gateway->receive(letter.from, letter.message, clock.now(), out);
    } else if (Worker* worker = by_address(to); worker != nullptr && worker->alive) {
      worker->state->receive(letter.from, letter.message, clock.now(), out);
    }
    deliver(to, out);
  }
  Worker* by_address(const std::string& address) {
    for (auto& [name, worker] : workers)
      if (worker->address == address || worker->data_address == address) return worker.get();
    return nullptr;
  }
  SendResult send_frame(const std::string& to, const wire::Envelope& header, const RequestId& request,
                        FramePayload payload) {
    Worker* worker = by_address(to);
    if (worker == nullptr || !worker->alive) return SendResult::closed;
    const auto waiting =
        std::count_if(frames_.begin(), frames_.end(), [&](const Frame& f) { return f.to == to; });
    if (static_cast<std::size_t>(waiting) >= window) return SendResult::window_full;
    Frame frame{to, header, request, std::move(payload)};
    const bool pages = header.type == wire::KvFrame::kNumber;
    if (pages && (lose_frames != 0 || (faults_.lose_frame != 0 && chance() < faults_.lose_frame))) {
      lose_frames -= lose_frames != 0 ? 1 : 0;
      ++frames_lost;
      return SendResult::sent;
    }
    if (pages && faults_.repeat_frame != 0 && chance() < faults_.repeat_frame) frames_.push_back(frame);
    if (pages && faults_.overtake_frame != 0 && chance() < faults_.overtake_frame)
      frames_.push_front(std::move(frame));
    else
      frames_.push_back(std::move(frame));
    return SendResult::sent;
  }
  void deliver_next_frame() {
    const Frame frame = std::move(frames_.front());
    frames_.pop_front();
    deliver_frame(frame);
  }
  void deliver_frame(const Frame& frame) {
    Worker* worker = by_address(frame.to);
    if (worker == nullptr || !worker->alive) return;
    if (const auto prompt = wire::unpack<wire::PromptFrame>(frame.header)) {
      actors::Outbox out;
      worker->state->on_prompt(*prompt, frame.payload, clock.now(), out);
      return deliver(worker->address, out);
    }
    const auto kv = wire::unpack<wire::KvFrame>(frame.header);
    TROUPE_CHECK(kv.has_value(), "a frame that does not parse");
    const auto wanted = worker->table.find(*kv);
    if (!wanted) {
      ++frames_refused;
      for (auto& [name, other] : workers)
        if (other->alive)
          other->commands.push_back(worker::FailTransfer{{kv->request, kv->epoch, kv->lease}, {Errc::transfer_failed, "refused"}});
      return;
    }
    ++frames_delivered;
    if (keep_frames) kept_.push_back(frame);
    worker->commands.push_back(worker::ImportFrame{wanted->engine_id, *kv, frame.payload});
  }
  void run_engine(Worker& worker) {
    worker::ReportBatch batch;
    for (worker::Command& command : std::exchange(worker.commands, {}))
      worker.runner->execute(std::move(command), batch.reports);
    if (worker.runner->has_work()) (void)worker.runner->step({}, batch.reports);
    batch.stats = worker.engine->stats();
    actors::Outbox out;
    worker.state->on_reports(0, std::move(batch), clock.now(), out);
    deliver(worker.address, out);
  }
  void tick_all() {
    next_tick_ = clock.now() + std::chrono::milliseconds(25);
    actors::Outbox out;
    if (router_alive) router->tick(clock.now(), out);
    deliver("tcp://router", out);
    if (spare_alive) spare->tick(clock.now(), out);
    deliver("tcp://router-b", out);
    gateway->tick(clock.now(), out);
    deliver("tcp://gateway", out);
    for (auto& [name, worker] : workers) {
      if (!worker->alive) continue;
      worker->state->tick(clock.now(), out);
      deliver(worker->address, out);
    }
  }

  std::mt19937_64 rng_;
  SimFaults faults_;
  std::map<std::pair<std::string, std::string>, std::deque<Letter>> links_;
  std::deque<Frame> frames_;
  std::vector<Frame> kept_;
  TimePoint next_tick_{};
  int routers_made_ = 0;
};

/// A job with a prompt of `tokens` ids that differ by `salt`.
inline gateway::GenerateJob fake_job(std::uint64_t salt, std::uint32_t tokens, std::uint32_t max_tokens,
                                     std::uint32_t choices = 1) {
  gateway::GenerateJob job;
  job.id = Hasher().text("job").number(salt).finish<RequestId>();
  job.model = "fake";
  for (std::uint32_t i = 0; i < tokens; ++i)
    job.prompt.push_back(static_cast<TokenId>((salt * 7919 + i * 31) % 4000));
  job.choices = choices;
  job.max_tokens = max_tokens;
  job.sampling.seed = salt * 1000 + 7;
  return job;
}

/// "" when the answer is what it must be.
inline std::string check_answer(const gateway::GenerateJob& job, const RecordingSink& sink) {
  if (sink.error) return to_string(*sink.error);
  if (!sink.done) return "not over";
  for (std::uint32_t choice = 0; choice < job.choices; ++choice) {
    const auto expected = fake_answer(job.prompt, job.sampling.seed, choice, job.max_tokens, job.stop_tokens);
    const auto found = sink.answers.find(choice);
    if (found == sink.answers.end() || found->second != expected)
      return "choice " + std::to_string(choice) + " has " +
             std::to_string(found == sink.answers.end() ? 0 : found->second.size()) +
             " tokens and is not the expected answer";
  }
  return "";
}

}  // namespace troupe::test
