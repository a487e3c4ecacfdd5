#include "services/router/simulator/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "services/router/router_state.hpp"
#include "services/router/simulator/event_queue.hpp"
#include "services/router/simulator/oracle.hpp"
#include "services/router/simulator/random.hpp"

namespace troupe::router {
namespace {

const ModelId kModel{1, 1};
constexpr std::string_view kModelName = "simulated";
constexpr double kTypicalRows = 16;
constexpr Duration kPatience = std::chrono::hours(1);  // after the last arrival

BlockKey key_of(std::uint64_t block) {
  return {mixed(block), block};
}

double microseconds(Duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::uint64_t to_us(Duration time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time / std::chrono::microseconds(1)));
}

/// What the gateway knows of a request.
struct Flight {
  std::uint32_t epoch = 1, made = 0;
  TimePoint sent{}, last{};
  std::optional<std::size_t> decode, prefill;
  std::vector<std::uint64_t> blocks;  // whole ones
  bool over = false, started = false;
  double predicted_us = 0;
};

struct Worker {
  std::unique_ptr<WorkerModel> model;
  std::uint64_t life = 0;  // rises with every death: what was on its way to an earlier one is void
  bool alive = true, stepping = false;
  TimePoint step_ends{};
  std::uint64_t coming = 0;
  TimePoint line_free{};                 // its line sends one fetch after the other
  std::vector<std::uint64_t> sequences;  // of KvUpdates, per router
  NodeId node;
  std::string address;
};

class Simulator {
 public:
  Simulator(const Trace& trace, const SimulationOptions& options)
      : trace_(trace), options_(options), random_(options.seed) {}

  Expected<void> open() {
    if (options_.workers.empty()) return fail(Errc::config_invalid, "a simulation needs a worker");
    const bool oracle = options_.policy == "oracle";
    for (std::size_t i = 0; i < (oracle ? 0 : std::max<std::size_t>(1, options_.routers)); ++i) {
      RouterOptions router;
      router.node = {0x707, i + 1};
      router.policy = options_.policy;
      router.heartbeat = options_.heartbeat;
      router.block_tokens = trace_.block_tokens;
      router.explained_placements = 1;
      router.first_token_slo = options_.first_token_slo;
      router.max_nodes = options_.workers.size() + 16;
      const double assumed = options_.assumed_transfer_token_us;
      router.transfer_bytes_per_second =
          1e6 / (assumed > 0 ? assumed : options_.transfer_token_us);  // a token is a byte
      const bool fetches =
          options_.baselines_fetch || options_.policy == builtin_router_policies().front().name;
      router.min_fetch_tokens = fetches ? options_.min_fetch_tokens : UINT32_MAX;
      auto made = RouterState::create(router);
      if (!made) return tl::unexpected<Error>(made.error());
      routers_.push_back(std::move(*made));
    }
    workers_.resize(options_.workers.size());
    for (std::size_t i = 0; i < workers_.size(); ++i) start_worker(i);
    return {};
  }

  SimulationResult run() {
    const double stretch = arrival_stretch(trace_, options_);
    const std::size_t count = options_.max_requests == 0
                                  ? trace_.requests.size()
                                  : std::min(options_.max_requests, trace_.requests.size());
    flights_.resize(count);
    result_.requests.resize(count);
    begin_ = queue_.now() + options_.heartbeat;
    arrive_next(0, stretch);
    for (const Death& death : options_.deaths)
      if (death.worker < workers_.size()) queue_.at(begin_ + death.at, [this, death] { kill(death); });
    for (std::size_t r = 0; r < routers_.size(); ++r) tick(r);
    last_end_ = begin_;
    std::uint64_t steps = 0;
    while (over_ < count && queue_.now() < last_end_ + kPatience && queue_.step()) {
      if ((++steps & 0xfff) != 0) continue;
      if (options_.on_progress) options_.on_progress(over_);
      if (!options_.stop || !options_.stop()) continue;
      result_.interrupted = true;
      break;
    }
    result_.elapsed = last_end_ - begin_;
    for (const Worker& worker : workers_) result_.preemptions += worker.model->preemptions();
    if (errors_ != 0) result_.prediction_error = error_sum_ / static_cast<double>(errors_);
    return std::move(result_);
  }

 private:
  static std::string gateway_address() { return "tcp://gateway"; }

  void arrive_next(std::size_t index, double stretch) {
    if (index >= flights_.size()) return;
    const auto at = std::chrono::nanoseconds(
        static_cast<std::int64_t>(static_cast<double>(trace_.requests[index].arrives.count()) * stretch));
    queue_.at(begin_ + at, [this, index, stretch] {
      arrive(index);
      arrive_next(index + 1, stretch);
    });
  }

  void arrive(std::size_t index) {
    const TraceRequest& request = trace_.requests[index];
    Flight& flight = flights_[index];
    RequestOutcome& outcome = result_.requests[index];
    outcome.arrived = queue_.now() - begin_;
    outcome.prompt_tokens = request.prompt_tokens;
    outcome.output_tokens = request.output_tokens;
    const std::size_t whole =
        std::min<std::size_t>(request.blocks.size(), request.prompt_tokens / trace_.block_tokens);
    flight.blocks.assign(request.blocks.begin(), request.blocks.begin() + static_cast<std::ptrdiff_t>(whole));
    place(index, {});
  }

  [[nodiscard]] std::uint32_t prompt_of(std::size_t index) const {
    return trace_.requests[index].prompt_tokens + flights_[index].made;
  }

  void place(std::size_t index, std::vector<NodeId> avoid) {
    Flight& flight = flights_[index];
    if (routers_.empty()) return place_by_oracle(index);
    wire::PlaceRequest ask;
    ask.request = {1, index + 1};
    ask.epoch = {flight.epoch};
    ask.model = kModelName;
    ask.tenant = "default";
    ask.prompt_tokens = prompt_of(index);
    ask.max_tokens = 4096;  // clients say how much at most, not how much
    for (const std::uint64_t block : flight.blocks) ask.blocks.push_back(key_of(block));
    ask.avoid = std::move(avoid);
    ask.session = trace_.requests[index].session;
    actors::Outbox out;
    router_of(index).receive(gateway_address(), wire::pack(ask, ask.epoch), queue_.now(), out);
    for (const actors::Outgoing& message : out.messages()) {
      if (auto placed = wire::unpack<wire::Placement>(message.message)) on_placement(index, *placed);
      if (auto refused = wire::unpack<wire::PlaceRefused>(message.message)) on_refused(index, *refused);
    }
  }

  RouterState& router_of(std::size_t index) { return *routers_[index % routers_.size()]; }

  [[nodiscard]] std::optional<std::size_t> worker_at(const NodeId& node) const {
    const std::size_t i = node.low - 1;
    return i < workers_.size() && workers_[i].node == node ? std::optional(i) : std::nullopt;
  }

  void on_placement(std::size_t index, const wire::Placement& placement) {
    Flight& flight = flights_[index];
    flight.sent = queue_.now();
    flight.decode = worker_at(placement.decode);
    flight.prefill = placement.prefill ? worker_at(*placement.prefill) : std::nullopt;
    flight.predicted_us = predicted(router_of(index).log().placements().back());
    if (placement.prefill) ++result_.disaggregated;
    if (!placement.fetch_address.empty()) return fetch(index, placement);
    submit(index, placement.prefill ? flight.prefill : flight.decode, placement.prefill ? 0 : left_of(index),
           false);
  }

  /// The decode worker asks its peer for what it lacks: frames leave after the peer's step and what its line
  /// has to send before, and the rest of the prompt is computed.
  void fetch(std::size_t index, const wire::Placement& placement) {
    Flight& flight = flights_[index];
    const auto peer = std::ranges::find(workers_, placement.fetch_address, &Worker::address);
    if (!flight.decode || peer == workers_.end() || !peer->alive)
      return submit(index, flight.decode, left_of(index), false);
    const std::uint32_t held = peer->model->cache().match(flight.blocks) * trace_.block_tokens;
    const std::uint32_t own =
        workers_[*flight.decode].model->cache().match(flight.blocks) * trace_.block_tokens;
    const std::uint32_t tokens = held - std::min(held, own);
    if (tokens == 0) return submit(index, flight.decode, left_of(index), false);
    TimePoint begin = std::max(queue_.now() + 2 * options_.line, peer->line_free);
    if (peer->stepping) begin = std::max(begin, peer->step_ends);
    peer->line_free = begin + from_us(tokens * options_.transfer_token_us);
    const auto from = static_cast<std::size_t>(peer - workers_.begin());
    queue_.at(peer->line_free + options_.line,
              [this, index, held, tokens, from, epoch = flight.epoch, placement,
               life = workers_[*flight.decode].life, peer_life = peer->life] {
                Flight& f = flights_[index];
                if (f.over || f.epoch != epoch || workers_[*f.decode].life != life) return;
                if (workers_[from].life != peer_life)  // it died on the way: the prompt is computed
                  return submit(index, f.decode, left_of(index), false);
                ++result_.fetches;
                result_.fetched_tokens += tokens;
                wire::PagesMoved moved{{1, index + 1},
                                       {epoch},
                                       placement.decode,
                                       kModel,
                                       placement.fetch_address,
                                       tokens,
                                       to_us(queue_.now() - f.sent)};
                for (std::size_t r = 0; r < routers_.size(); ++r) deliver(*f.decode, r, moved);
                submit(index, f.decode, left_of(index), false, held);
              });
  }

  static Duration from_us(double us) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(us * 1000));
  }

  static double predicted(const LoggedPlacement& placement) {
    for (const Explanation::Worker& worker : placement.what->decode_workers)
      if (worker.name == placement.what->decode) return worker.terms.first_token();
    return 0;
  }

  [[nodiscard]] std::uint32_t left_of(std::size_t index) const {
    return std::max(1u, trace_.requests[index].output_tokens -
                            std::min(trace_.requests[index].output_tokens, flights_[index].made));
  }

  /// A sequence is on its way to a worker.
  void submit(std::size_t index, std::optional<std::size_t> to, std::uint32_t output, bool imported,
              std::uint32_t fetched = 0) {
    if (!to) return replay(index);
    Worker& worker = workers_[*to];
    Sequence sequence{static_cast<std::uint32_t>(index),
                      flights_[index].epoch,
                      prompt_of(index),
                      output,
                      &flights_[index].blocks,
                      imported,
                      fetched};
    worker.coming += sequence.prompt_tokens;
    queue_.after(options_.line, [this, i = *to, life = worker.life, sequence] {
      Worker& there = workers_[i];
      if (there.life != life) return;  // it died meanwhile; its connection tells
      there.coming -= std::min<std::uint64_t>(there.coming, sequence.prompt_tokens);
      if (flights_[sequence.request].over || flights_[sequence.request].epoch != sequence.epoch) return;
      if (!there.model->submit(sequence)) return fail_request(sequence.request);
      wake(i);
    });
  }

  void place_by_oracle(std::size_t index) {
    Flight& flight = flights_[index];
    std::vector<OracleWorker> views;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const Worker& worker = workers_[i];
      if (!worker.alive || worker.model->spec().role != wire::Role::decode) continue;
      views.push_back({worker.model.get(),
                       worker.stepping ? worker.step_ends - queue_.now() : Duration::zero(), worker.coming});
      which.push_back(i);
    }
    if (views.empty()) return retry(index, std::chrono::seconds(1));
    const Sequence sequence{static_cast<std::uint32_t>(index),
                            flight.epoch,
                            prompt_of(index),
                            left_of(index),
                            &flight.blocks,
                            false};
    flight.sent = queue_.now();
    flight.decode = which[oracle_choice(views, sequence)];
    submit(index, flight.decode, left_of(index), false);
  }

  void retry(std::size_t index, Duration wait) {
    queue_.after(wait, [this, index, epoch = flights_[index].epoch] {
      if (!flights_[index].over && flights_[index].epoch == epoch) place(index, {});
    });
  }

  /// As the gateway does: a new request learns at once, a stream waits, and so does one whose workers are
  /// away.
  void on_refused(std::size_t index, const wire::PlaceRefused& refused) {
    const bool away =
        refused.error.code == Errc::model_not_found || refused.error.code == Errc::no_ready_worker;
    if (away || flights_[index].epoch > 1)
      return retry(index, std::chrono::milliseconds(std::clamp(refused.retry_after_ms, 50u, 500u)));
    result_.requests[index].refused = true;
    finish(index);
  }

  void fail_request(std::size_t index) {
    ended(index);
    finish(index);
  }

  void finish(std::size_t index) {
    flights_[index].over = true;
    ++over_;
    last_end_ = queue_.now();
  }

  void ended(std::size_t index) {
    if (routers_.empty()) return;
    tell(index, wire::RequestEnded{{1, index + 1}, {flights_[index].epoch}});
  }

  template <class M>
  void tell(std::size_t index, const M& message) {
    actors::Outbox out;
    router_of(index).receive(gateway_address(), wire::pack(message, message.epoch), queue_.now(), out);
  }

  void replay(std::size_t index) {
    Flight& flight = flights_[index];
    std::vector<NodeId> avoid;
    if (flight.decode) avoid.push_back(workers_[*flight.decode].node);
    ++flight.epoch;
    ++result_.requests[index].replays;
    place(index, std::move(avoid));
  }

  // Workers

  void start_worker(std::size_t i) {
    Worker& worker = workers_[i];
    WorkerSpec spec = options_.workers[i];
    spec.block_tokens = trace_.block_tokens;
    worker.model = std::make_unique<WorkerModel>(spec);
    worker.alive = true;
    worker.stepping = false;
    worker.coming = 0;
    worker.line_free = {};
    worker.node = {worker.life + 1, i + 1};
    worker.address = "tcp://w" + std::to_string(i);
    worker.sequences.assign(routers_.size(), 0);
    for (std::size_t r = 0; r < routers_.size(); ++r) join(i, r);
    const Duration phase =
        options_.heartbeat * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(workers_.size());
    queue_.after(phase, [this, i, life = worker.life] { beat(i, life); });
  }

  void join(std::size_t i, std::size_t r) {
    const Worker& worker = workers_[i];
    wire::Join join;
    join.node = worker.node;
    join.role = worker.model->spec().role;
    join.name = "w" + std::to_string(i);
    join.control_address = join.data_address = worker.address;
    join.models = {{std::string(kModelName), kModel, 1u << 20, 1, 64, "simulated"}};  // a byte a token
    deliver(i, r, join);
    publish(i, r, true, {});
  }

  template <class M>
  void deliver(std::size_t i, std::size_t r, const M& message) {
    actors::Outbox out;
    routers_[r]->receive(workers_[i].address, wire::pack(message), queue_.now(), out);
    for (const actors::Outgoing& answer : out.messages()) {
      if (!wire::unpack<wire::KvSnapshotRequest>(answer.message)) continue;
      ++result_.snapshots;
      queue_.after(options_.line, [this, i, r, life = workers_[i].life] {
        if (workers_[i].life == life && workers_[i].alive) publish(i, r, true, {});
      });
    }
  }

  void beat(std::size_t i, std::uint64_t life) {
    Worker& worker = workers_[i];
    if (!worker.alive || worker.life != life) return;
    wire::Heartbeat message;
    message.node = worker.node;
    message.loads = {worker.model->load(kModel)};
    for (std::size_t r = 0; r < routers_.size(); ++r) deliver(i, r, message);
    queue_.after(options_.heartbeat, [this, i, life] { beat(i, life); });
  }

  /// What changed in its cache, over a line that may lose, repeat and let pass.
  void publish(std::size_t i, std::size_t r, bool snapshot, const CacheChanges& changes) {
    Worker& worker = workers_[i];
    wire::KvUpdate update;
    update.node = worker.node;
    update.model = kModel;
    update.sequence = ++worker.sequences[r];
    update.snapshot = snapshot;
    for (const std::uint64_t block : snapshot ? worker.model->cache().blocks() : changes.stored)
      update.stored.push_back(key_of(block));
    for (const std::uint64_t block : changes.removed) update.removed.push_back(key_of(block));
    const EventFaults& faults = options_.faults;
    if (random_.chance(faults.lose)) return;
    const int copies = random_.chance(faults.repeat) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      Duration wait = options_.line;
      if (random_.chance(faults.overtake) || copy == 1)
        wait += std::chrono::milliseconds(1 + static_cast<std::int64_t>(random_.below(200)));
      queue_.after(wait, [this, i, r, life = worker.life, update] {
        if (workers_[i].life == life) deliver(i, r, update);
      });
    }
  }

  void wake(std::size_t i) {
    Worker& worker = workers_[i];
    if (!worker.alive || worker.stepping) return;
    auto takes = worker.model->begin_step();
    result_.peak_pages = std::max(result_.peak_pages, worker.model->pages_in_use());
    if (!takes) return;
    if (options_.step_noise > 0) *takes = from_us(static_cast<double>(to_us(*takes)) * std::exp(options_.step_noise * random_.normal()));
    worker.stepping = true;
    ++result_.steps;
    result_.stepping += *takes;
    worker.step_ends = queue_.now() + *takes;
    queue_.at(worker.step_ends, [this, i, life = worker.life] {
      if (workers_[i].life == life) stepped(i);
    });
  }

  void stepped(std::size_t i) {
    Worker& worker = workers_[i];
    worker.stepping = false;
    const StepEvents events = worker.model->end_step();
    const CacheChanges changes = worker.model->cache().take_changes();
    if (!changes.stored.empty() || !changes.removed.empty())
      for (std::size_t r = 0; r < routers_.size(); ++r) publish(i, r, false, changes);
    for (const StepEvents::Token& token : events.tokens) on_token(i, token);
    wake(i);
  }

  void on_token(std::size_t i, const StepEvents::Token& token) {
    Flight& flight = flights_[token.request];
    if (flight.over || flight.epoch != token.epoch) return;
    if (token.prefilled) return on_prefilled(token);
    RequestOutcome& outcome = result_.requests[token.request];
    ++flight.made;
    if (flight.started) outcome.longest_between = std::max(outcome.longest_between, queue_.now() - flight.last);
    flight.last = queue_.now();
    if (token.first && !flight.prefill) outcome.cached_tokens = std::max(outcome.cached_tokens, token.cached);
    if (!std::exchange(flight.started, true)) outcome.first_token = queue_.now() - begin_ - outcome.arrived;
    if (token.first && !routers_.empty()) {
      const std::uint32_t cached = flight.prefill ? 0 : token.cached;
      compare(token.request, microseconds(queue_.now() - flight.sent));
      tell(token.request,
           wire::RequestStarted{
               {1, token.request + 1u}, {flight.epoch}, to_us(queue_.now() - flight.sent), cached});
    }
    outcome.worker = i;
    if (!token.last) return;
    outcome.finished = true;
    const auto gaps = std::max<std::int64_t>(1, std::int64_t{outcome.output_tokens} - 1);
    outcome.between_tokens = (queue_.now() - begin_ - outcome.arrived - outcome.first_token) / gaps;
    ended(token.request);
    finish(token.request);
  }

  /// The first half of the trace teaches.
  void compare(std::size_t index, double took_us) {
    const double predicted = flights_[index].predicted_us;
    if (predicted <= 0 || index < flights_.size() / 2) return;
    error_sum_ += std::abs(predicted - took_us) / took_us;
    ++errors_;
  }

  /// Its pages go on to the decode worker; most of them are there already.
  void on_prefilled(const StepEvents::Token& token) {
    Flight& flight = flights_[token.request];
    RequestOutcome& outcome = result_.requests[token.request];
    outcome.cached_tokens = std::max(outcome.cached_tokens, token.cached);
    if (!flight.decode) return replay(token.request);
    const WorkerModel& decode = *workers_[*flight.decode].model;
    const std::uint32_t missing =
        prompt_of(token.request) -
        std::min(prompt_of(token.request), decode.cache().match(flight.blocks) * trace_.block_tokens);
    const double transfer = missing * options_.transfer_token_us;
    const double hidden = microseconds(queue_.now() - flight.sent);
    const double left = std::max(transfer - hidden, transfer / 32);
    queue_.after(std::chrono::nanoseconds(static_cast<std::int64_t>(left * 1000)), [this, token] {
      Flight& f = flights_[token.request];
      if (!f.over && f.epoch == token.epoch) submit(token.request, f.decode, left_of(token.request), true);
    });
  }

  void kill(const Death& death) {
    Worker& worker = workers_[death.worker];
    if (!worker.alive) return;
    worker.alive = false;
    result_.preemptions += worker.model->preemptions();
    ++worker.life;
    queue_.after(options_.noticed, [this, i = death.worker] { noticed(i); });
    queue_.after(std::max(death.away, options_.noticed + options_.line),
                 [this, i = death.worker] { start_worker(i); });
  }

  void noticed(std::size_t i) {
    for (auto& router : routers_) {
      actors::Outbox out;
      router->peer_lost(workers_[i].address, queue_.now(), out);
    }
    for (std::size_t index = 0; index < flights_.size(); ++index) {
      const Flight& flight = flights_[index];
      if (!flight.over && (flight.decode == i || (flight.prefill == i && !flight.started))) replay(index);
    }
  }

  void tick(std::size_t r) {
    actors::Outbox out;
    routers_[r]->tick(queue_.now(), out);
    queue_.after(options_.heartbeat, [this, r] { tick(r); });
  }

  const Trace& trace_;
  const SimulationOptions& options_;
  Random random_;
  EventQueue queue_;
  std::vector<std::unique_ptr<RouterState>> routers_;
  std::vector<Worker> workers_;
  std::vector<Flight> flights_;
  SimulationResult result_;
  TimePoint begin_{}, last_end_{};
  std::size_t over_ = 0;
  double error_sum_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace

double arrival_stretch(const Trace& trace, const SimulationOptions& options) {
  if (options.stretch > 0) return options.stretch;
  double speed = 0, work_us = 0;
  StepModel step;
  for (const WorkerSpec& worker : options.workers) {
    speed += worker.speed;
    step = worker.step;
  }
  for (const TraceRequest& request : trace.requests)
    work_us += step.prompt_token * request.prompt_tokens +
               (step.row + step.base / kTypicalRows) * request.output_tokens;
  const double recorded = std::max(1.0, microseconds(trace.requests.back().arrives));
  return work_us / speed / options.load / recorded;
}

Expected<SimulationResult> simulate(const Trace& trace, const SimulationOptions& options) {
  Simulator simulator(trace, options);
  TROUPE_TRY(simulator.open());
  return simulator.run();
}

}  // namespace troupe::router
