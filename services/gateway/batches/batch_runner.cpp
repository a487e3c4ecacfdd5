#include "services/gateway/batches/batch_runner.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <utility>

#include "common/base/log.hpp"
#include "common/engine/batch/prefix_groups.hpp"
#include "services/gateway/batches/batch_input.hpp"

namespace troupe::gateway {
namespace {

constexpr std::uint32_t kGranule = 16;  // tokens of a block
constexpr int kLinesPerStep = 4;        // that are prepared before others have a turn
constexpr int kMostTimeouts = 3;        // of one line
constexpr Duration kTick = std::chrono::seconds(1);
constexpr Duration kStorePause = std::chrono::seconds(5);  // after a disk that took nothing

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

TimePoint steady_now() {
  return std::chrono::steady_clock::now();
}

/// What another try may change. A deadline that passes again and again is the line's fault.
bool may_run_again(int status, int& timeouts) {
  if (status == 504) return ++timeouts < kMostTimeouts;
  return status == 429 || status == 503;
}

Duration wait_of(const Response& response) {
  int seconds = 0;
  for (const Header& field : response.headers)
    if (field.name == "Retry-After")
      std::from_chars(field.value.data(), field.value.data() + field.value.size(), seconds);
  return std::chrono::seconds(std::clamp(seconds, 0, 60));
}

void warn(std::string_view what, const Batch& batch, const Error& error) {
  log::warn(what, {{"batch", batch.id}, {"error", to_string(error)}});
}

}  // namespace

/// A line without a committed result.
struct BatchRunner::Planned {
  enum class State : std::uint8_t { waiting, running, answered };

  InputPlace place;
  State state = State::waiting;
  std::optional<PreparedRun> run;  // none: it is prepared when it begins
  std::weak_ptr<LineWriter> writer;
  int timeouts = 0;
};

struct BatchRunner::Active {
  explicit Active(Batch b) : batch(std::move(b)) {}

  Batch batch;
  std::optional<FileReader> input;
  std::unique_ptr<InputScan> scan;     // while it is validated
  std::deque<InputPlace> window;       // to be prepared
  std::vector<std::int64_t> prepared;  // of the window, in the order of the input
  std::size_t window_bytes = 0;
  std::int64_t last = 0;  // line that was taken into a window
  bool all_planned = false;
  std::map<std::int64_t, Planned> lines;
  std::optional<ResultFiles> files;  // while they are written
  std::int64_t not_before = 0;       // after a failure, Unix seconds
};

BatchRunner::BatchRunner(const RunnerOptions& options, BatchStore& store, std::shared_ptr<BatchThread> thread,
                         LineHost& host, const BatchMetrics& metrics)
    : options_(options),
      store_(store),
      thread_(std::move(thread)),
      host_(host),
      metrics_(metrics),
      schedule_(options.schedule) {}

BatchRunner::~BatchRunner() = default;

Expected<void> BatchRunner::resume() {
  auto open = store_.open_batches();
  if (!open) return tl::unexpected<Error>(std::move(open.error()));
  for (Batch& batch : *open) {
    log::info("a batch goes on",
              {{"batch", batch.id}, {"lines", batch.total}, {"done", batch.completed + batch.failed}});
    add(std::move(batch));
  }
  tick();
  return {};
}

void BatchRunner::add(Batch batch) {
  const std::int64_t serial = batch.serial;
  schedule_.add(serial, batch.owner);
  active_.emplace(serial, std::make_unique<Active>(std::move(batch)));
  poke();
}

Parsed<Batch> BatchRunner::cancel(Batch batch) {
  Active* active = find(batch.serial);
  if (active != nullptr) batch = active->batch;
  if (auto done = batch.cancel(unix_seconds()); !done)
    return tl::unexpected<ApiError>(std::move(done.error()));
  if (active == nullptr) return batch;
  if (auto saved = store_.save(batch); !saved) return tl::unexpected<ApiError>(to_api(saved.error()));
  active->batch = batch;
  poke();
  return batch;
}

std::size_t BatchRunner::open(const RequestId& owner) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(active_, [&](const auto& at) { return at.second->batch.owner == owner; }));
}

void BatchRunner::abandon() {
  taking_ = false;
  commit();
  for (const auto& [serial, active] : active_) abandon(*active);
}

void BatchRunner::abandon(Active& active) {
  schedule_.remove(active.batch.serial);
  for (auto& [line, planned] : active.lines) {
    if (planned.state != Planned::State::running) continue;
    if (const auto writer = planned.writer.lock()) writer->abandon();
    schedule_.ended({active.batch.serial, line});
  }
  // The results of those that have been answered are still to be committed.
  std::erase_if(active.lines, [](const auto& at) { return at.second.state != Planned::State::answered; });
  active.window.clear();
  active.prepared.clear();
  active.all_planned = true;
}

BatchRunner::Active* BatchRunner::find(std::int64_t serial) {
  const auto found = active_.find(serial);
  return found == active_.end() ? nullptr : found->second.get();
}

BatchRunner::Planned* BatchRunner::find(const LineRef& line) {
  Active* active = find(line.batch);
  if (active == nullptr) return nullptr;
  const auto found = active->lines.find(line.line);
  return found == active->lines.end() ? nullptr : &found->second;
}

// Several reasons to look become one look, behind what waits already: results that come together are
// committed together.
void BatchRunner::poke() {
  if (std::exchange(poked_, true)) return;
  thread_->post([this] {
    poked_ = false;
    step();
  });
}

void BatchRunner::tick() {
  poke();
  thread_->post_at(steady_now() + kTick, [this] { tick(); });
}

void BatchRunner::step() {
  commit();
  const std::int64_t now = unix_seconds();
  bool more = false;
  for (auto at = active_.begin(); at != active_.end();) {
    more = advance(*at->second, now) || more;
    const bool ended = at->second->batch.ended();
    if (ended) schedule_.remove(at->first);
    at = ended ? active_.erase(at) : std::next(at);
  }
  while (taking_) {
    const auto line = schedule_.next(steady_now());
    if (!line) break;
    start(*line);
  }
  show();
  if (more) poke();
  if (const TimePoint until = schedule_.paused_until();
      until > steady_now() && std::exchange(wake_, until) != until)
    thread_->post_at(until, [this] { poke(); });
}

void BatchRunner::commit() {
  auto results = std::exchange(results_, {});
  for (auto& [serial, lines] : results) {
    Active* active = find(serial);
    if (active == nullptr) continue;
    const auto committed = store_.add_results(active->batch, lines);
    for (const LineResult& result : lines) {
      const LineRef line{serial, result.line};
      if (committed) {
        schedule_.ended(line);
        active->lines.erase(result.line);
        metrics_.lines[static_cast<std::size_t>(result.failed ? LineOutcome::failed : LineOutcome::completed)]
            .add();
        continue;
      }
      active->lines.at(result.line).state = Planned::State::waiting;
      schedule_.refused(line, steady_now(), kStorePause);
      metrics_.lines[static_cast<std::size_t>(LineOutcome::retried)].add();
    }
    if (!committed) warn("results cannot be kept, their lines run again", active->batch, committed.error());
  }
}

/// Whether there is more to do at once.
bool BatchRunner::advance(Active& active, std::int64_t now) {
  Batch& batch = active.batch;
  if (now < active.not_before) return false;
  if (batch.status == BatchStatus::validating) return taking_ && scan(active, now);
  const bool runs = batch.may_run(now);
  if (!runs && batch.status != BatchStatus::finalizing && !active.files) abandon(active);
  const BatchStatus before = batch.status;
  if (batch.settle(static_cast<std::int64_t>(schedule_.running(batch.serial)), now)) {
    if (before != batch.status) {
      if (auto saved = store_.save(batch); !saved) warn("a batch cannot be saved", batch, saved.error());
    }
    return finish(active, now);
  }
  return runs && taking_ && plan(active);
}

bool BatchRunner::scan(Active& active, std::int64_t now) {
  Batch& batch = active.batch;
  const auto give_up = [&](const Error& error) {
    warn("a batch's input cannot be read", batch, error);
    active.scan.reset();
    active.not_before = now + 5;
    return false;
  };
  if (!active.scan) {
    auto input = FileReader::open(store_.content_of(batch.input_file));
    auto cleared = store_.clear_lines(batch.serial);
    if (!cleared) return give_up(cleared.error());
    if (!input) {
      batch.validated(0, {{"invalid_input_file", "The input file cannot be read.", "input_file_id", 0}}, now);
      (void)store_.save(batch);
      return false;
    }
    active.scan = std::make_unique<InputScan>(std::move(*input), batch.endpoint, options_.scan);
  }
  const auto through = active.scan->step(store_, batch.serial);
  if (!through) return give_up(through.error());
  if (!*through) return true;
  Batch read = batch;
  read.model = active.scan->model();
  read.validated(active.scan->lines(), active.scan->errors(), now);
  auto saved = read.ended() ? store_.clear_lines(batch.serial) : Expected<void>();
  if (saved) saved = store_.save(read);
  if (!saved) return give_up(saved.error());
  batch = std::move(read);
  active.scan.reset();
  log::info("a batch's input has been read",
            {{"batch", batch.id}, {"lines", batch.total}, {"failed", batch.ended()}});
  return true;
}

bool BatchRunner::plan(Active& active) {
  if (active.all_planned && active.window.empty() && active.prepared.empty()) return false;
  const std::int64_t serial = active.batch.serial;
  if (active.window.empty() && active.prepared.empty()) {
    if (schedule_.waiting(serial) >= options_.schedule.most_running) return false;
    begin_window(active);
  }
  for (int i = 0; i < kLinesPerStep && !active.window.empty(); ++i) {
    InputPlace place = std::move(active.window.front());
    active.window.pop_front();
    active.last = place.line;
    active.window_bytes += static_cast<std::size_t>(place.length);
    if (active.window_bytes > options_.window_bytes) {  // the rest is for the next one
      active.window.clear();
      active.all_planned = false;
    }
    Planned& line = active.lines[place.line];
    line.place = std::move(place);
    // One that cannot be prepared now is prepared when it begins, and has its error then.
    if (auto run = prepare(active, line.place)) line.run = std::move(*run);
    active.prepared.push_back(line.place.line);
  }
  if (!active.window.empty()) return true;
  end_window(active);
  return true;
}

void BatchRunner::begin_window(Active& active) {
  auto places = store_.unanswered(active.batch.serial, active.last, options_.window_lines);
  if (!places) {
    active.not_before = unix_seconds() + 1;
    return warn("a batch's lines cannot be read", active.batch, places.error());
  }
  active.all_planned = static_cast<std::int64_t>(places->size()) < options_.window_lines;
  active.window_bytes = 0;
  active.window.assign(std::make_move_iterator(places->begin()), std::make_move_iterator(places->end()));
}

// Groups that save the most prompt tokens, those that decode much first: their prompts fill the steps in
// which earlier ones decode.
void BatchRunner::end_window(Active& active) {
  std::vector<engine::BatchItem> items;
  for (const std::int64_t number : active.prepared) {
    const Planned& line = active.lines.at(number);
    engine::BatchItem item;
    item.shares = line.run && line.run->prompts.size() == 1;
    if (item.shares) {
      item.prompt = line.run->prompts.front();
      item.answer_tokens = line.run->request.max_tokens.value_or(256);
    }
    items.push_back(item);
  }
  auto groups = engine::prefix_groups(items, kGranule);
  engine::order_groups(groups, items);
  std::vector<std::int64_t> order;
  for (const engine::PrefixGroup& group : groups)
    for (const std::uint32_t member : group.members) order.push_back(active.prepared[member]);
  schedule_.plan(active.batch.serial, order);
  active.prepared.clear();
}

Parsed<PreparedRun> BatchRunner::prepare(Active& active, const InputPlace& place) {
  if (!active.input) {
    auto input = FileReader::open(store_.content_of(active.batch.input_file));
    if (!input) return tl::unexpected<ApiError>(to_api(input.error()));
    active.input = std::move(*input);
  }
  const auto text = active.input->read(place.start, static_cast<std::size_t>(place.length));
  if (!text) return tl::unexpected<ApiError>(to_api(text.error()));
  const auto line = read_input_line(*text, active.batch.endpoint);
  if (!line) return tl::unexpected<ApiError>(to_api(Error{Errc::io_failed, "the input file has changed"}));
  const auto caller = host_.caller_of(active.batch);
  if (!caller) return tl::unexpected<ApiError>(caller.error());
  try {
    return host_.prepare_line(active.batch.endpoint, line->body, *caller);
  } catch (const std::exception& e) {  // it must not meet the line again and again
    log::error("a line failed", {{"batch", active.batch.id}, {"line", place.line}, {"what", e.what()}});
    return tl::unexpected<ApiError>(to_api(Error{Errc::internal, "the request could not be processed"}));
  }
}

void BatchRunner::start(const LineRef& line) {
  Planned* planned = find(line);
  if (planned == nullptr) return schedule_.ended(line);
  Active& active = *find(line.batch);
  planned->state = Planned::State::running;
  const auto id = random_id<RequestId>();
  auto caller = host_.caller_of(active.batch);
  if (!caller) return answered(line, id, to_response(caller.error()));
  if (!planned->run) {
    auto run = prepare(active, planned->place);
    if (!run) return answered(line, id, to_response(run.error()));
    planned->run = std::move(*run);
  }
  auto writer = std::make_shared<LineWriter>(
      thread_, [this, line, id](Response response) { answered(line, id, std::move(response)); });
  planned->writer = writer;
  PreparedRun run = std::move(*planned->run);
  planned->run.reset();
  host_.run_line(id, active.batch.endpoint, std::move(*caller), std::move(run), std::move(writer));
}

void BatchRunner::answered(const LineRef& line, const RequestId& id, Response response) {
  Planned* planned = find(line);
  if (planned == nullptr || planned->state != Planned::State::running) return;  // it was given up meanwhile
  planned->writer.reset();
  if (may_run_again(response.status, planned->timeouts)) {
    planned->state = Planned::State::waiting;
    schedule_.refused(line, steady_now(), wait_of(response));
    metrics_.lines[static_cast<std::size_t>(LineOutcome::retried)].add();
    return poke();
  }
  planned->state = Planned::State::answered;
  LineResult result{line.line, response.status != 200, {}, {}};
  result.text = output_line(id, planned->place.custom_id, response.status, response.body);
  if (!result.failed) result.usage = usage_in(response.body);
  results_[line.batch].push_back(std::move(result));
  poke();
}

bool BatchRunner::finish(Active& active, std::int64_t now) {
  const auto again_later = [&](const Error& error) {
    warn("a batch's files cannot be written", active.batch, error);
    active.files.reset();
    active.not_before = now + 5;
    return false;
  };
  if (!active.files) active.files.emplace();
  const auto written = active.files->step(store_, active.batch);
  if (!written) return again_later(written.error());
  if (!*written) return true;
  const auto ended = store_.finish(active.batch, active.files->output(), active.files->errors(), now);
  if (!ended) return again_later(ended.error());
  log::info("a batch has ended",
            {{"batch", active.batch.id},
             {"status", kBatchStatusNames[static_cast<std::size_t>(active.batch.status)]},
             {"completed", active.batch.completed},
             {"failed", active.batch.failed}});
  return false;
}

void BatchRunner::show() const {
  std::array<double, 4> batches{};
  double open_lines = 0;
  for (const auto& [serial, active] : active_) {
    const Batch& batch = active->batch;
    open_lines += static_cast<double>(batch.total - batch.completed - batch.failed);
    switch (batch.status) {
      case BatchStatus::validating:
        ++batches[0];
        break;
      case BatchStatus::in_progress:
        ++batches[1];
        break;
      case BatchStatus::finalizing:
        ++batches[2];
        break;
      case BatchStatus::cancelling:
        ++batches[3];
        break;
      default:
        break;
    }
  }
  const auto running = static_cast<double>(schedule_.running());
  metrics_.now[0].set(std::max(0.0, open_lines - running));
  metrics_.now[1].set(running);
  for (std::size_t i = 0; i < batches.size(); ++i) metrics_.batches[i].set(batches[i]);
}

}  // namespace troupe::gateway
