#include "services/gateway/generate_run.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/hash.hpp"
#include "common/base/log.hpp"
#include "services/gateway/fields/best_choices.hpp"
#include "services/gateway/fields/prompt_scores.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/openai_writer.hpp"

namespace troupe::gateway {
namespace {

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds_since(TimePoint then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

EventSequence make_sequence(const PreparedRun& prepared) {
  const std::size_t choices = prepared.prompts.size() * prepared.request.choices;
  if (!prepared.recorded) return EventSequence(choices);
  return EventSequence(choices, EventSequence::Order::by_step, prepared.recorded->from);
}

std::unique_ptr<AnswerWriter> make_writer(const Call& call, const PreparedRun& prepared) {
  const GenerateRequest& request = prepared.request;
  AnswerHead head;
  head.id = to_hex(prepared.recorded ? prepared.recorded->id : call.request.id);
  head.created = prepared.recorded ? prepared.recorded->created : unix_seconds();
  head.model = request.model;
  head.fingerprint = "fp_" + to_hex(prepared.served.id).substr(0, 16);
  head.lossy_pages = prepared.served.lossy_pages();
  if (request.beam.width > 0) head.search = request.beam.groups > 1 ? "diverse-beam-search" : "beam-search";
  if (request.superposed.drafts > 0) head.search = "superposed-decoding";
  if (!request.preset.empty()) head.search = request.preset;
  head.tokenizer = prepared.model->tokenizer;
  if (prepared.form.make_writer) return prepared.form.make_writer(std::move(head));
  return openai_writer(request, request.drafted && !prepared.recorded, std::move(head));
}

/// Leaves as many of what could have been instead.
void show_alternatives(std::vector<GeneratedToken>& tokens, std::size_t most) {
  for (GeneratedToken& token : tokens)
    if (token.top.size() > most) token.top.resize(most);
}

}  // namespace

/// Queues what the dispatcher says of one job.
class GenerateRun::Sink final : public AnswerSink {
 public:
  Sink(std::shared_ptr<GenerateRun> run, std::size_t job) : run_(std::move(run)), job_(job) {}
  void on_start(AnswerStart start) override {
    Event event;
    event.kind = EventKind::started;
    event.job = job_;
    event.cached_tokens = start.cached_tokens;
    event.tokens = std::move(start.prompt_logprobs);
    event.converted_pages = start.converted_pages;
    run_->deliver(std::move(event));
  }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    run_->deliver({EventKind::tokens, job_, choice, 0, finish, {tokens.begin(), tokens.end()}, {}});
  }
  void on_drafted(std::uint32_t choice, std::uint32_t count) override {
    run_->deliver({EventKind::drafted, job_, choice, 0, FinishReason::none, {}, {}, false, {count, count}});
  }
  void on_score(std::uint32_t choice, double score) override {
    run_->deliver({EventKind::score, job_, choice, 0, FinishReason::none, {}, {}, false, {}, score});
  }
  void on_done(const DraftUsage& drafts) override {
    run_->deliver({EventKind::done, job_, 0, 0, FinishReason::none, {}, {}, false, drafts});
  }
  void on_error(const Error& error) override {
    run_->deliver({EventKind::failed, job_, 0, 0, FinishReason::none, {}, error});
  }

 private:
  std::shared_ptr<GenerateRun> run_;
  std::size_t job_;
};

GenerateRun::GenerateRun(Call call, PreparedRun prepared, Dispatcher& dispatcher,
                         std::optional<TimePoint> deadline)
    : call_(std::move(call)),
      prepared_(std::move(prepared)),
      dispatcher_(dispatcher),
      deadline_(deadline),
      writer_(make_writer(call_, prepared_)),
      sequence_(make_sequence(prepared_)),
      held_(prepared_.recorded && !prepared_.recorded->kept) {
  make_choices();
}

void GenerateRun::make_choices() {
  const GenerateRequest& request = prepared_.request;
  ChoiceText::Options options;
  options.stop = request.stop;
  options.end_tokens = request.stop_token_ids;
  if (!request.ignore_eos) {
    const auto ends = prepared_.model->tokenizer->end_tokens();
    options.end_tokens.insert(options.end_tokens.end(), ends.begin(), ends.end());
  }
  options.keep_tokens = request.logprobs || request.drafted;
  options.keep_ids = request.token_ids;
  options.min_tokens = request.rules.min_tokens;
  options.include_stop = request.include_stop;
  options.show_special = request.show_special;
  options.starts_text = request.chat && !request.input.continues;
  options.reader = prepared_.reader;
  options.shown = prepared_.shown;
  for (std::size_t prompt = 0; prompt < prepared_.prompts.size(); ++prompt) {
    options.discard = prepared_.max_tokens[prompt] == 0;
    options.characters_before = request.echo ? count_characters(request.text_prompts[prompt]) : 0;
    jobs_.push_back({prompt == 0 ? call_.request.id : random_id<RequestId>(), choices_.size(), false, {}});
    for (std::uint32_t i = 0; i < request.choices; ++i) {
      choices_.push_back({ChoiceText(prepared_.model->tokenizer, options), {}, {}, {}, {}});
    }
  }
}

void GenerateRun::start() {
  if (call_.log) {
    const GenerateRequest& request = prepared_.request;
    call_.log->prepared(
        {call_.request.id, request.model, request.chat, request.stream, call_.arrived, usage().prompt_tokens},
        std::chrono::steady_clock::now());
  }
  if (prepared_.recorded) call_.writer->answer_for(prepared_.recorded->id);
  call_.writer->on_gone([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->client_gone();
  });
  dispatched_ = std::chrono::steady_clock::now();
  if (call_.trace) call_.trace->stage("prepare", call_.arrived, dispatched_);
  for (std::size_t job = 0; job < jobs_.size() && !over_; ++job) {
    if (const auto started = dispatch(job); !started) {
      for (std::size_t never = job; never < jobs_.size(); ++never) jobs_[never].over = true;
      fail_with(started.error());
    }
  }
}

Expected<void> GenerateRun::dispatch(std::size_t job) {
  const GenerateRequest& request = prepared_.request;
  GenerateJob work;
  work.id = jobs_[job].id;
  work.model = request.model;
  work.prompt = prepared_.prompts[job];
  work.choices = request.choices;
  work.max_tokens = std::max(1u, prepared_.max_tokens[job]);
  work.stop_tokens = request.stop_token_ids;
  if (!request.ignore_eos) {
    const auto ends = prepared_.model->tokenizer->end_tokens();
    work.stop_tokens.insert(work.stop_tokens.end(), ends.begin(), ends.end());
  }
  work.sampling = request.sampling;
  work.priority = request.priority;
  work.session = request.session;
  work.tenant = call_.visit->caller().tenant;
  work.drafter = request.drafter;
  work.grammar = request.grammar;
  work.beam = request.beam;
  work.superposed = request.superposed;
  work.rules = request.rules;
  work.reference = request.reference;
  work.prompt_logprobs = (request.echo && request.logprobs) || request.prompt_logprobs;
  work.deadline = deadline_;
  work.trace = call_.trace;
  if (prepared_.recorded)
    work.share = Hasher().text("job").id(prepared_.recorded->id).number(job).finish<RequestId>();
  return dispatcher_.start(std::move(work), std::make_shared<Sink>(shared_from_this(), job));
}

void GenerateRun::deliver(Event event) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(event));
    if (held_ || std::exchange(drain_posted_, true)) return;
  }
  call_.writer->post([self = shared_from_this()] { self->drain(); });
}

void GenerateRun::record_kept() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
    if (drop_when_kept_) return prepared_.recorded->drop();
    if (queue_.empty() || std::exchange(drain_posted_, true)) return;
  }
  call_.writer->post([self = shared_from_this()] { self->drain(); });
}

void GenerateRun::drain() {
  std::vector<Event> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(queue_);
    drain_posted_ = false;
  }
  for (Event& event : events) {
    const bool of_all = event.kind == EventKind::agreed || event.kind == EventKind::kept;
    if (!over_ && (of_all || !jobs_[event.job].over)) handle(event);
  }
  flush();
}

void GenerateRun::handle(Event& event) {
  switch (event.kind) {
    case EventKind::started:
      return on_started(event);
    case EventKind::tokens:
      return on_tokens(event);
    case EventKind::drafted:
      if (event.choice < prepared_.request.choices)
        choices_[jobs_[event.job].first_choice + event.choice].drafted =
            static_cast<std::uint32_t>(event.drafts.accepted);
      return;
    case EventKind::score:
      if (event.choice < prepared_.request.choices)
        choices_[jobs_[event.job].first_choice + event.choice].score = event.score;
      return;
    case EventKind::failed:
      return fail_with(*event.error);
    case EventKind::agreed:
      cached_tokens_ = event.cached_tokens;
      cached_agreed_ = true;
      return finish_if_complete();
    case EventKind::kept:
      return send_last();
    case EventKind::done:
      drafts_.drafted += event.drafts.drafted;
      drafts_.accepted += event.drafts.accepted;
      break;
  }
  if (!job_finished(event.job)) {
    return fail_with(
        Error{Errc::internal, "the cluster ended the request before all of its choices had finished"});
  }
  close_job(event.job);
  finish_if_complete();
}

void GenerateRun::on_started(Event& event) {
  if (event.converted_pages) writer_->say_converted();
  cached_tokens_ += event.cached_tokens;
  if (call_.log && event.job == 0)
    call_.log->started(call_.request.id, event.cached_tokens, std::chrono::steady_clock::now());
  if (const auto& alternatives = prepared_.request.prompt_logprobs) {
    Job& job = jobs_[event.job];
    AnswerFormat::Options options;
    options.chat = prepared_.request.chat;
    const AnswerFormat labels(prepared_.model->tokenizer, std::move(options));
    job.prompt_logprobs = prompt_scores(prepared_.prompts[event.job], event.tokens, *alternatives, labels);
    show_alternatives(event.tokens, prepared_.request.alternatives);
  }
  if (prepared_.request.stream && !std::exchange(streaming_, true)) {
    call_.writer->start_stream(200, writer_->stream_type());
  }
  begin_choices(event);
  if (++started_jobs_ == jobs_.size()) agree_cached();
}

void GenerateRun::begin_choices(Event& event) {
  const std::size_t first = jobs_[event.job].first_choice;
  const TextDelta prompt = prepared_.request.echo ? echo(event) : TextDelta{};
  for (std::size_t i = first; i < first + prepared_.request.choices; ++i) {
    if (!streaming_) {
      keep(i, prompt);
      continue;
    }
    std::vector<std::string> events;
    writer_->begin(i, usage(), events);
    if (prepared_.request.echo) writer_->delta(i, prompt, events);
    sequence_.step(i, std::move(events), false, out_);
  }
}

// Only an answer that reports the number has to agree on it.
void GenerateRun::agree_cached() {
  const bool reported = !prepared_.request.stream || prepared_.request.include_usage;
  if (!prepared_.recorded || !reported) {
    cached_agreed_ = true;
    return;
  }
  prepared_.recorded->agree_cached(cached_tokens_, [self = shared_from_this()](std::uint64_t agreed) {
    self->deliver({EventKind::agreed, 0, 0, agreed, FinishReason::none, {}, {}});
  });
}

// The prompt is the first piece of each of its choices. Scores are aligned at the prompt's end: its first
// token has none.
TextDelta GenerateRun::echo(Event& event) const {
  const GenerateRequest& request = prepared_.request;
  const std::vector<TokenId>& prompt = prepared_.prompts[event.job];
  TextDelta delta;
  delta.text = request.text_prompts[event.job];
  if (request.logprobs) {
    StreamDecoder decoder(prepared_.model->tokenizer);
    const std::size_t unscored = prompt.size() - std::min(prompt.size(), event.tokens.size());
    std::size_t characters = 0;
    for (std::size_t i = 0; i < prompt.size(); ++i) {
      PlacedToken placed;
      placed.scored = i > 0 && i >= unscored;
      if (placed.scored) placed.token = event.tokens[i - unscored];
      placed.token.token = prompt[i];
      placed.characters_before = characters;
      characters += count_characters(decoder.push(prompt[i]));
      delta.tokens.push_back(std::move(placed));
    }
  }
  return delta;
}

void GenerateRun::on_tokens(Event& event) {
  if (event.choice >= prepared_.request.choices) {
    return fail_with(Error{Errc::internal, "tokens came for a choice that was not asked for"});
  }
  if (event.finish == FinishReason::error || event.finish == FinishReason::cancelled) {
    return fail_with(Error{Errc::internal, "the cluster gave a choice up"});
  }
  if (prepared_.request.prompt_logprobs) show_alternatives(event.tokens, prepared_.request.alternatives);
  const std::size_t index = jobs_[event.job].first_choice + event.choice;
  Choice& choice = choices_[index];
  if (event.finish != FinishReason::none) choice.cluster_finished = true;
  if (choice.text.finished()) return;
  time_tokens(choice, event.tokens.size());
  prepared_.recorded ? push_each(index, event) : push(index, event.tokens, event.finish);
  if (!choice.text.finished()) return;
  count_finished(event.job, choice);
  // Where the cluster ended all choices itself its last word follows, which tells what drafts did.
  if (job_finished(event.job) && !cluster_finished(event.job)) {
    close_job(event.job);
    finish_if_complete();
  }
}

// The events of a recorded run must not depend on how many tokens came at once. The end comes with its token
// only when that is the end token, which is no text.
void GenerateRun::push_each(std::size_t index, const Event& event) {
  const ChoiceText& text = choices_[index].text;
  const std::size_t count = event.tokens.size();
  for (std::size_t i = 0; i < count && !text.finished(); ++i) {
    const bool ends = i + 1 == count && event.finish == FinishReason::stop;
    push(index, std::span(event.tokens).subspan(i, 1), ends ? FinishReason::stop : FinishReason::none);
  }
  if (!text.finished() && event.finish != FinishReason::none) push(index, {}, event.finish);
}

void GenerateRun::push(std::size_t index, std::span<const GeneratedToken> tokens, FinishReason finish) {
  Choice& choice = choices_[index];
  TextDelta delta = choice.text.push(tokens, finish, std::exchange(choice.drafted, 0));
  if (!streaming_) return keep(index, std::move(delta));
  std::vector<std::string> events;
  if (!delta.empty() || !delta.tokens.empty()) writer_->delta(index, delta, events);
  if (choice.text.finished()) {
    writer_->finish(index, end_of(index), extras_of(choice), events);
  }
  sequence_.step(index, std::move(events), choice.text.finished(), out_);
}

ChoiceExtras GenerateRun::extras_of(const Choice& choice) const {
  return {prepared_.request.token_ids ? &choice.text.ids() : nullptr, choice.score};
}

ChoiceEnd GenerateRun::end_of(std::size_t index) const {
  const ChoiceText& text = choices_[index].text;
  const std::uint32_t most = prepared_.max_tokens[index / prepared_.request.choices];
  const bool cut =
      text.reason() == FinishReason::length && prepared_.request.max_tokens.value_or(most) > most;
  return {text.reason(), text.calls() > 0, text.stop_string(), cut};
}

void GenerateRun::time_tokens(Choice& choice, std::size_t count) {
  const TimePoint now = std::chrono::steady_clock::now();
  const VllmSeries& vllm = call_.metrics->vllm.of(prepared_.request.model);
  if (std::exchange(first_token_, false)) {
    const double seconds = seconds_since(call_.arrived);
    call_.metrics->first_token_seconds.observe(seconds, call_.trace_id());
    vllm.first_token.observe(seconds, call_.trace_id());
    first_token_at_ = now;
    if (call_.trace) call_.trace->stage("first_token", dispatched_, now);
  }
  if (choice.last_tokens) {
    const double gap = std::chrono::duration<double>(now - *choice.last_tokens).count();
    call_.metrics->inter_token_seconds.observe(gap);
    vllm.count_token_gap(gap);
  }
  if (!choice.first_tokens) choice.first_tokens = now;
  choice.last_tokens = now;
  last_token_at_ = now;
  if (call_.log) call_.log->tokens(call_.request.id, count, now);
}

void GenerateRun::count_finished(std::size_t job, const Choice& choice) const {
  FinishedChoice finished;
  finished.reason = choice.text.reason();
  finished.seconds = seconds_since(call_.arrived);
  finished.output_seconds = std::chrono::duration<double>(*choice.last_tokens - *choice.first_tokens).count();
  finished.prompt_tokens = prepared_.prompts[job].size();
  finished.tokens = choice.text.completion_tokens();
  finished.choices = prepared_.request.choices;
  finished.max_tokens = prepared_.max_tokens[job];
  call_.metrics->vllm.of(prepared_.request.model).count_finished(finished, call_.trace_id());
}

void GenerateRun::keep(std::size_t index, TextDelta delta) {
  TextDelta& all = choices_[index].all;
  all.text += delta.text;
  all.reasoning += delta.reasoning;
  for (const CallDelta& piece : delta.calls) add_call(all, piece);
  std::ranges::move(delta.tokens, std::back_inserter(all.tokens));
}

void GenerateRun::flush() {
  if (out_.empty()) return;
  if (!over_) call_.writer->write(out_);
  out_.clear();
}

std::span<const GenerateRun::Choice> GenerateRun::choices_of(std::size_t job) const {
  return std::span(choices_).subspan(jobs_[job].first_choice, prepared_.request.choices);
}

bool GenerateRun::job_finished(std::size_t job) const {
  return std::ranges::all_of(choices_of(job), [](const Choice& c) { return c.text.finished(); });
}

bool GenerateRun::cluster_finished(std::size_t job) const {
  return std::ranges::all_of(choices_of(job), &Choice::cluster_finished);
}

void GenerateRun::close_job(std::size_t job) {
  if (std::exchange(jobs_[job].over, true)) return;
  if (!cluster_finished(job)) dispatcher_.cancel(jobs_[job].id);
}

void GenerateRun::finish_if_complete() {
  if (over_ || composed_ || !std::ranges::all_of(jobs_, &Job::over) || !cached_agreed_) return;
  composed_ = true;
  if (streaming_) {
    AnswerWriter::Events events;
    writer_->end(usage(), events);
    for (const std::string& event : events) sequence_.tail(event, last_);
  } else {
    last_ = writer_->whole(told_results(), usage());
  }
  const bool waits = writer_->keep([self = shared_from_this()] {
    self->deliver({EventKind::kept, 0, 0, 0, FinishReason::none, {}, {}});
  });
  if (!waits) send_last();
}

void GenerateRun::send_last() {
  tell_visit();
  if (streaming_) {
    out_ += last_;
    call_.over(200);
    call_.writer->write(out_);
    out_.clear();
    call_.writer->finish();
  } else {
    call_.reply_json(std::move(last_));
  }
  end(200);
}

/// All choices, or of each prompt the ones that best_of leaves, the likeliest by the token first.
std::vector<ChoiceResult> GenerateRun::told_results() {
  const GenerateRequest& request = prepared_.request;
  std::vector<ChoiceResult> results;
  for (const Job& job : jobs_) {
    std::vector<double> scores(request.choices, 0.0);
    if (request.told < request.choices)
      for (std::size_t i = 0; i < scores.size(); ++i)
        scores[i] = choices_[job.first_choice + i].text.mean_logprob();
    for (const std::size_t i : best_choices(scores, request.told)) {
      Choice& choice = choices_[job.first_choice + i];
      results.push_back({std::move(choice.all), choice.text.reason(), extras_of(choice), end_of(job.first_choice + i),
                         request.prompt_logprobs ? &job.prompt_logprobs : nullptr});
    }
  }
  return results;
}

void GenerateRun::fail_with(const Error& error) {
  if (over_) return;
  const ApiError api = to_api(error);
  tell_visit();
  if (streaming_) {
    AnswerWriter::Events events;
    writer_->error(api, events);
    for (const std::string& event : events) out_ += event;
    call_.over(0);
    call_.writer->write(out_);
    out_.clear();
    call_.writer->finish();
  } else {
    drop_record();
    call_.reply(api);
  }
  end(api.status);
}

// Refused requests come many at a time, and memory for records is for those that are answered.
void GenerateRun::drop_record() {
  if (!prepared_.recorded || !prepared_.recorded->drop) return;
  {
    const std::lock_guard lock(mutex_);
    if (held_) {  // it is being written: record_kept() drops it
      drop_when_kept_ = true;
      return;
    }
  }
  prepared_.recorded->drop();
}

void GenerateRun::client_gone() {
  if (over_) return;
  tell_visit();
  call_.over(http_status(Errc::cancelled));
  end(http_status(Errc::cancelled));
}

// What nobody has begun to compute costs nothing.
void GenerateRun::tell_visit() const {
  const Usage used = usage();
  call_.visit->answered(prepared_.request.model, started_jobs_ == 0 ? 0 : used.prompt_tokens,
                        used.completion_tokens);
}

void GenerateRun::end(int status) {
  over_ = true;
  for (std::size_t job = 0; job < jobs_.size(); ++job) close_job(job);
  const Usage used = usage();
  call_.metrics->prompt_tokens.add(static_cast<double>(used.prompt_tokens));
  call_.metrics->cached_tokens.add(static_cast<double>(used.cached_tokens));
  call_.metrics->completion_tokens.add(static_cast<double>(used.completion_tokens));
  if (call_.log)
    call_.log->ended(call_.request.id, status, used.completion_tokens, std::chrono::steady_clock::now());
  call_.metrics->request_seconds.observe(seconds_since(call_.arrived), call_.trace_id());
  trace_end(status, used);
  const VllmSeries& vllm = call_.metrics->vllm.of(prepared_.request.model);
  vllm.prompt_tokens.add(static_cast<double>(used.prompt_tokens));
  vllm.generation_tokens.add(static_cast<double>(used.completion_tokens));
  for (const Choice& choice : choices_)
    if (!choice.text.finished()) vllm.count_aborted();
  log::debug("request over", {{"request", to_hex(call_.request.id)},
                              {"status", status},
                              {"prompt_tokens", used.prompt_tokens},
                              {"cached_tokens", used.cached_tokens},
                              {"completion_tokens", used.completion_tokens},
                              {"seconds", seconds_since(call_.arrived)}});
}

void GenerateRun::trace_end(int status, const Usage& used) const {
  if (!call_.trace) return;
  if (!first_token_) call_.trace->stage("stream", first_token_at_, std::chrono::steady_clock::now());
  call_.trace->end(call_.arrived, status >= 400,
                   {{"http.response.status_code", status},
                    {"gen_ai.usage.input_tokens", static_cast<std::int64_t>(used.prompt_tokens)},
                    {"gen_ai.usage.output_tokens", static_cast<std::int64_t>(used.completion_tokens)},
                    {"troupe.cached_tokens", static_cast<std::int64_t>(used.cached_tokens)}});
}

Usage GenerateRun::usage() const {
  Usage used;
  for (const auto& prompt : prepared_.prompts) used.prompt_tokens += prompt.size();
  for (const Choice& choice : choices_) {
    used.completion_tokens += choice.text.completion_tokens();
    used.reasoning_tokens += choice.text.reasoning_tokens();
  }
  used.cached_tokens = cached_tokens_;
  // They depend on the schedule: an answer that may be asked for again, byte for byte, does not tell them.
  if (!prepared_.recorded) used.drafts = drafts_;
  used.times = times();
  return used;
}

RunTimes GenerateRun::times() const {
  RunTimes out;
  out.total = std::chrono::steady_clock::now() - call_.arrived;
  out.prepare = dispatched_ - call_.arrived;
  if (first_token_) return out;
  out.prompt = first_token_at_ - dispatched_;
  out.answer = last_token_at_ - first_token_at_;
  return out;
}

}  // namespace troupe::gateway
