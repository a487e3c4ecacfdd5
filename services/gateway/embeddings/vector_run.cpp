#include "services/gateway/embeddings/vector_run.hpp"

#include <chrono>
#include <utility>

namespace troupe::gateway {
namespace {

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds_since(TimePoint then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

}  // namespace

/// Queues what the dispatcher says of one job.
class VectorRun::Sink final : public AnswerSink {
 public:
  Sink(std::shared_ptr<VectorRun> run, std::size_t job) : run_(std::move(run)) { event_.job = job; }
  void on_start(AnswerStart start) override { event_.cached_tokens = start.cached_tokens; }
  void on_tokens(std::uint32_t, std::span<const GeneratedToken>, FinishReason) override {}
  void on_score(std::uint32_t, double) override {}
  void on_vector(std::vector<float> vector) override { event_.vector = std::move(vector); }
  void on_done(const DraftUsage&) override {
    if (event_.vector.empty()) event_.error = Error{Errc::internal, "a worker ended without a vector"};
    run_->deliver(std::move(event_));
  }
  void on_error(const Error& error) override {
    event_.error = error;
    run_->deliver(std::move(event_));
  }

 private:
  std::shared_ptr<VectorRun> run_;
  Event event_;
};

VectorRun::VectorRun(Call call, PreparedVectors prepared, Dispatcher& dispatcher, TimePoint deadline)
    : call_(std::move(call)),
      prepared_(std::move(prepared)),
      dispatcher_(dispatcher),
      deadline_(deadline),
      tokens_(prepared_.tokens()),
      open_(prepared_.prompts.size(), false) {
  for (std::size_t i = 0; i < prepared_.prompts.size(); ++i)
    ids_.push_back(i == 0 ? call_.request.id : random_id<RequestId>());
}

void VectorRun::start() {
  const TimePoint now = std::chrono::steady_clock::now();
  if (call_.log)
    call_.log->prepared({call_.request.id, prepared_.model, false, false, call_.arrived, tokens_}, now);
  if (call_.trace) call_.trace->stage("prepare", call_.arrived, now);
  call_.writer->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->client_gone();
  });
  fill();
}

/// Jobs up to the window. Where there is no room for another, those that run make some.
void VectorRun::fill() {
  while (!over_ && running_ < kWindow && next_ < ids_.size()) {
    const auto started = dispatch(next_);
    if (started) {
      open_[next_++] = true;
      ++running_;
      continue;
    }
    if (started.error().code == Errc::queue_full && running_ > 0) return;
    return fail_with(to_api(started.error()));
  }
}

Expected<void> VectorRun::dispatch(std::size_t job) {
  GenerateJob work;
  work.id = ids_[job];
  work.model = prepared_.model;
  work.tenant = call_.visit->caller().tenant;
  work.prompt = prepared_.prompts[job];  // it may be tried again
  work.priority = prepared_.priority;
  work.deadline = deadline_;
  work.trace = call_.trace;
  work.pooling = prepared_.pooling;
  return dispatcher_.start(std::move(work), std::make_shared<Sink>(shared_from_this(), job));
}

void VectorRun::deliver(Event event) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(event));
    if (std::exchange(drain_posted_, true)) return;
  }
  call_.writer->post([self = shared_from_this()] { self->drain(); });
}

void VectorRun::drain() {
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(queue_);
    drain_posted_ = false;
  }
  for (Event& event : events) {
    if (over_) return;
    handle(std::move(event));
  }
  fill();
}

void VectorRun::handle(Event event) {
  open_[event.job] = false;
  --running_;
  if (event.error) return fail_with(to_api(*event.error));
  if (answered_++ == 0 && call_.log)
    call_.log->started(call_.request.id, event.cached_tokens, std::chrono::steady_clock::now());
  cached_tokens_ += event.cached_tokens;
  if (auto taken = prepared_.answer->take(event.job, std::move(event.vector)); !taken)
    return fail_with(taken.error());
  if (answered_ == ids_.size()) finish();
}

void VectorRun::finish() {
  std::string body = prepared_.answer->body({call_.request.id, unix_seconds(), prepared_.model, tokens_});
  call_.visit->answered(prepared_.model, tokens_, 0);
  call_.reply_json(std::move(body));
  end(200);
}

void VectorRun::fail_with(const ApiError& error) {
  if (over_) return;
  // What nobody has begun to compute costs nothing.
  call_.visit->answered(prepared_.model, next_ == 0 ? 0 : tokens_, 0);
  call_.reply(error);
  end(error.status);
}

void VectorRun::client_gone() {
  if (over_) return;
  const int status = http_status(Errc::cancelled);
  call_.visit->answered(prepared_.model, tokens_, 0);
  call_.over(status);
  end(status);
}

void VectorRun::end(int status) {
  over_ = true;
  for (std::size_t job = 0; job < ids_.size(); ++job) {
    if (open_[job]) dispatcher_.cancel(ids_[job]);
    open_[job] = false;
  }
  const auto tokens = static_cast<double>(tokens_);
  call_.metrics->prompt_tokens.add(tokens);
  call_.metrics->cached_tokens.add(static_cast<double>(cached_tokens_));
  call_.metrics->request_seconds.observe(seconds_since(call_.arrived), call_.trace_id());
  call_.metrics->vllm.of(prepared_.model).prompt_tokens.add(tokens);
  if (call_.log) call_.log->ended(call_.request.id, status, 0, std::chrono::steady_clock::now());
  if (!call_.trace) return;
  call_.trace->end(call_.arrived, status >= 400,
                   {{"http.response.status_code", status},
                    {"gen_ai.usage.input_tokens", static_cast<std::int64_t>(tokens_)},
                    {"troupe.cached_tokens", static_cast<std::int64_t>(cached_tokens_)}});
}

}  // namespace troupe::gateway
