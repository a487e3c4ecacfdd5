// A worker's streams: from Generate to the last token, with answers kept so that a gateway can ask for them
// again.
#include <algorithm>

#include "common/base/log.hpp"
#include "common/worker/first_token.hpp"
#include "common/worker/token_entries.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {

constexpr std::size_t kMessageBytes = wire::kMaxControlBytes - 1024;

wire::Tokens::Entry error_entry(const RequestId& request, Epoch epoch, std::uint32_t choice,
                                std::uint32_t index, const Error& error) {
  wire::Tokens::Entry entry;
  entry.request = request;
  entry.epoch = epoch;
  entry.choice = choice;
  entry.first_index = index;
  entry.finish = FinishReason::error;
  entry.error = wire::WireError{error.code, error.detail.substr(0, wire::kMaxDetail.max)};
  return entry;
}

}  // namespace

void WorkerState::refuse(const std::string& gateway, const wire::Generate& order, Error error,
                         actors::Outbox& out) {
  ++counters_.refused;
  send_tokens(gateway,
              {error_entry(order.request, order.epoch, order.first_choice, order.resumed_tokens, error)},
              out);
}

/// A stream of no tokens, whose end is a vector.
void WorkerState::on_embed(const std::string& from, wire::Embed order, TimePoint now, actors::Outbox& out) {
  wire::Generate stream;
  stream.request = order.request;
  stream.epoch = order.epoch;
  stream.model = order.model;
  stream.tenant = std::move(order.tenant);
  stream.prompt = std::move(order.prompt);
  stream.prompt_by_data = order.prompt_by_data;
  stream.prompt_tokens = order.prompt_tokens;
  stream.max_tokens = 0;
  stream.deadline_ms = order.deadline_ms;
  stream.priority = order.priority;
  stream.trace = order.trace;
  const Pooling pooling = order.pooling == Pooling::none ? Pooling::mean : order.pooling;
  on_generate(from, std::move(stream), now, out, pooling);
}

void WorkerState::on_generate(const std::string& from, wire::Generate order, TimePoint now,
                              actors::Outbox& out, Pooling pooling) {
  const StreamKey key{order.request, order.epoch, order.first_choice};
  if (const auto known = streams_.find(key);
      known != streams_.end()) {  // a repeat: the answer may have been lost
    known->second.gateway = from;
    known->second.orphaned_at.reset();
    return on_resend(from, {order.request, order.epoch, order.first_choice, order.resumed_tokens}, out);
  }
  std::vector<StreamKey> older;
  for (auto at = streams_.lower_bound({order.request, {}, 0});
       at != streams_.end() && at->first.request == order.request; ++at) {
    if (at->first.epoch > order.epoch) {
      ++counters_.stale_epochs;
      return refuse(from, order, {Errc::stale_epoch, "a newer placement of this request is here"}, out);
    }
    if (at->first.epoch < order.epoch) older.push_back(at->first);
  }
  for (const StreamKey& old : older) erase_stream(streams_.find(old), now, out);
  if (refuses_new()) return refuse(from, order, {Errc::draining, options_.name + " takes nothing new"}, out);
  const auto engine = engine_of(order.model);
  if (!engine) {
    return refuse(from, order,
                  {Errc::model_not_found, options_.name + " does not serve model id " + to_hex(order.model)},
                  out);
  }
  if (streams_.size() >= options_.max_streams && !finished_.empty())
    erase_stream(streams_.find(finished_.front()), now, out);
  if (streams_.size() >= options_.max_streams) {
    return refuse(from, order,
                  {Errc::queue_full, options_.name + " holds " + std::to_string(streams_.size()) + " of " +
                                         std::to_string(options_.max_streams) + " streams"},
                  out);
  }
  if (order.choices == 0 || order.choices > 1024 || order.prompt_tokens == 0 ||
      order.resumed_tokens >= order.prompt_tokens || order.prompt_tokens > wire::kMaxPromptTokens.max ||
      (!order.prompt_by_data && order.prompt.size() != order.prompt_tokens)) {
    return refuse(
        from, order,
        {Errc::wire_malformed, "Generate names " + std::to_string(order.prompt_tokens) +
                                   " prompt tokens and brings " + std::to_string(order.prompt.size())},
        out);
  }
  ++counters_.requests;
  Stream stream;
  stream.gateway = from;
  stream.engine = *engine;
  stream.pooling = pooling;
  stream.lease = now + options_.lease;
  if (order.trace.recorded())
    stream.spans = std::make_unique<StreamSpans>(
        actors::SpanLog(order.trace, span_source(key.request, key.epoch, key.first_choice), now),
        key.first_choice, order.choices);
  if (order.deadline_ms != 0) stream.deadline = now + std::chrono::milliseconds(order.deadline_ms);
  for (std::uint32_t i = 0; i < order.choices; ++i)
    stream.choices.push_back({order.resumed_tokens, {}, FinishReason::none});
  if (order.prompt_by_data) {
    if (auto prompt = claim_prompt(key, order.prompt_tokens)) {
      order.prompt = std::move(*prompt);
      order.prompt_by_data = false;
    }
  }
  const bool ready = !order.prompt_by_data;
  stream.order = std::move(order);
  Stream& placed = streams_.emplace(key, std::move(stream)).first->second;
  if (ready) begin(key, placed, now, out);
}

engine::Request WorkerState::engine_request(const StreamKey& key, Stream& stream, bool keep_prompt) {
  wire::Generate& order = stream.order;
  ++stream.attempt;
  if (stream.attempt > 1) stream_of_.erase(stream.engine_id);
  stream.engine_id = next_engine_id();
  stream_of_[stream.engine_id] = key;
  engine::Request request = request_of(order);
  request.id = stream.engine_id;
  request.prompt = keep_prompt ? order.prompt : std::exchange(order.prompt, {});
  if (stream.drawn) {  // told already: the rest is that of a resumed stream
    request.prompt.push_back(*stream.drawn);
    request.resumed_tokens += 1;
  }
  request.deadline = stream.deadline;
  request.prompt_logprobs = order.prompt_logprobs;
  request.drafter = order.drafter;
  request.reference = order.reference;
  request.traced = stream.spans != nullptr;
  request.pooling = stream.pooling;
  return request;
}

void WorkerState::begin(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox&) {
  stream.import = wanted_import(stream);
  if (stream.import.tokens == 0) return submit(key, stream, now);
  stream.phase = Phase::reserving;
  stream.lease = now + options_.lease;
  const std::uint32_t page = models_[stream.engine].page_tokens, tokens = stream.import.tokens;
  // Nobody is asked to compute a prompt for the part of a page.
  const std::uint32_t enough = stream.import.fetch ? tokens : tokens / page * page;
  ReserveImport command{engine_request(key, stream, true), tokens, enough, options_.conversion,
                        stream.order.grammar};
  command.request.pages_of = stream.import.model;
  door_.post(stream.engine, std::move(command));
}

void WorkerState::submit(const StreamKey& key, Stream& stream, TimePoint now) {
  stream.phase = Phase::running;
  stream.lease = now + options_.lease;
  door_.post(stream.engine, Submit{engine_request(key, stream, false), stream.order.grammar});
}

std::map<WorkerState::StreamKey, WorkerState::Stream>::iterator WorkerState::find_stream(
    const RequestId& engine_id) {
  const auto found = stream_of_.find(engine_id);
  return found == stream_of_.end() ? streams_.end() : streams_.find(found->second);
}

void WorkerState::on_token_event(engine::TokenEvent event, TimePoint now, Batches& batches,
                                 actors::Outbox& out) {
  const auto at = find_stream(event.id);
  if (at == streams_.end()) return;  // cancelled meanwhile
  const StreamKey& key = at->first;
  Stream& stream = at->second;
  if (event.choice < key.first_choice || event.choice - key.first_choice >= stream.choices.size()) return;
  Choice& choice = stream.choices[event.choice - key.first_choice];
  if (event.vector.size() > wire::kMaxVector.max) {
    event.vector.clear();
    event.finish = FinishReason::error;
    event.error = Error{Errc::invalid_argument, "vectors of this model are longer than a message"};
  }
  if (stream.phase != Phase::done) stream.phase = Phase::running;
  stream.engine_cached = event.cached_tokens;
  if (!event.prompt_tokens.empty()) stream.prompt_tokens = event.prompt_tokens;
  wire::Tokens::Entry entry;
  entry.request = key.request;
  entry.epoch = key.epoch;
  entry.choice = event.choice;
  entry.first_index = event.first_index;
  entry.finish = event.finish;
  entry.cached_tokens = stream.cached_tokens.value_or(event.cached_tokens);
  for (const GeneratedToken& token : event.tokens) entry.tokens.push_back(to_wire(token));
  for (const GeneratedToken& token : event.prompt_tokens) entry.prompt_tokens.push_back(to_wire(token));
  entry.prompt_total = static_cast<std::uint32_t>(stream.prompt_tokens.size());
  if (event.error) {
    entry.error = wire::WireError{event.error->code, event.error->detail.substr(0, wire::kMaxDetail.max)};
    stream.error = event.error;
  }
  choice.tokens.insert(choice.tokens.end(), event.tokens.begin(), event.tokens.end());
  entry.drafted = choice.drafted += event.drafted_tokens;
  entry.accepted = choice.accepted += event.accepted_tokens;
  if (event.score) entry.score = choice.score = event.score;
  if (event.finish != FinishReason::none) choice.finish = event.finish;
  if (stream.spans) {
    stream.spans->made(event, now);
    tell_spans(key, stream, now, out);
  }
  if (event.times && options_.on_finished) options_.on_finished(stream.engine, *event.times);
  if (!event.vector.empty()) {
    stream.vector = std::move(event.vector);
    send_vector(key, stream, out);
  } else {
    batches[stream.gateway].push_back(std::move(entry));
  }
  const bool over = std::all_of(stream.choices.begin(), stream.choices.end(),
                                [](const Choice& c) { return c.finish != FinishReason::none; });
  if (!over && !event.error) return;
  if (stream.phase != Phase::done) finished_.push_back(key);
  stream.phase = Phase::done;
  stream.lease = now + options_.lease;
  ++counters_.finished;
}

void WorkerState::fail_stream(const StreamKey& key, Stream& stream, Error error, TimePoint now,
                              actors::Outbox& out) {
  const auto index =
      static_cast<std::uint32_t>(stream.choices[0].first_index + stream.choices[0].tokens.size());
  stream.phase = Phase::done;
  stream.lease = now + options_.lease;
  finished_.push_back(key);
  ++counters_.refused;
  const std::string gateway = stream.gateway;
  stream.error = error;
  if (stream.spans) stream.spans->over(name(error.code), now);
  tell_spans(key, stream, now, out);
  send_tokens(gateway, {error_entry(key.request, key.epoch, key.first_choice, index, error)}, out);
}

bool WorkerState::is_converted(const wire::Tokens::Entry& entry) const {
  auto at = streams_.upper_bound({entry.request, entry.epoch, entry.choice});
  if (at == streams_.begin()) return false;
  --at;
  return at->first.request == entry.request && at->first.epoch == entry.epoch && at->second.converted;
}

void WorkerState::send_tokens(const std::string& gateway, std::vector<wire::Tokens::Entry> entries,
                              actors::Outbox& out) {
  wire::Tokens message{options_.node, step_, {}};
  std::size_t bytes = 0;
  const auto flush = [&] {
    if (message.entries.empty()) return;
    ++counters_.tokens_messages;
    out.send(gateway, message);
    message.entries.clear();
    message.converted.clear();
    bytes = 0;
  };
  for (wire::Tokens::Entry& whole : entries) {
    const bool converted = is_converted(whole);
    for (wire::Tokens::Entry& entry : split_entry(std::move(whole), kMessageBytes)) {
      const std::size_t size = entry_bytes(entry) + (converted ? sizeof(std::uint32_t) : 0);
      if (bytes + size > kMessageBytes) flush();
      bytes += size;
      if (converted) message.converted.push_back(static_cast<std::uint32_t>(message.entries.size()));
      message.entries.push_back(std::move(entry));
    }
  }
  flush();
}

/// A gap at the gateway, or a gateway asking whether its stream still lives: both get what there is, perhaps
/// nothing new.
void WorkerState::on_resend(const std::string& from, const wire::Resend& message, actors::Outbox& out) {
  ++counters_.resends;
  std::vector<wire::Tokens::Entry> entries;
  for (auto at = streams_.lower_bound({message.request, message.epoch, 0});
       at != streams_.end() && at->first.request == message.request && at->first.epoch == message.epoch;
       ++at) {
    Stream& stream = at->second;
    const std::uint32_t first = at->first.first_choice;
    if (message.choice < first || message.choice - first >= stream.choices.size()) continue;
    stream.gateway = from;
    stream.orphaned_at.reset();
    if (send_vector(at->first, stream, out)) return;
    resend_from(at->first, stream, message.choice, message.first_index, entries);
    return send_tokens(from, std::move(entries), out);
  }
  send_tokens(from,
              {error_entry(message.request, message.epoch, message.choice, message.first_index,
                           {Errc::lease_expired, options_.name + " holds no such stream"})},
              out);
}

/// false: there is none, or not yet.
bool WorkerState::send_vector(const StreamKey& key, const Stream& stream, actors::Outbox& out) const {
  if (stream.vector.empty()) return false;
  out.send(stream.gateway, wire::EmbedReply{key.request, key.epoch, stream.vector, stream.engine_cached}, key.epoch);
  return true;
}

void WorkerState::resend_from(const StreamKey& key, const Stream& stream, std::uint32_t choice_number,
                              std::uint32_t index, std::vector<wire::Tokens::Entry>& entries) const {
  const Choice& choice = stream.choices[choice_number - key.first_choice];
  const auto end = static_cast<std::uint32_t>(choice.first_index + choice.tokens.size());
  wire::Tokens::Entry entry;
  entry.request = key.request;
  entry.epoch = key.epoch;
  entry.choice = choice_number;
  entry.first_index = std::clamp(index, choice.first_index, end);
  entry.cached_tokens = stream.cached_tokens.value_or(stream.engine_cached);
  for (std::uint32_t i = entry.first_index; i < end; ++i)
    entry.tokens.push_back(to_wire(choice.tokens[i - choice.first_index]));
  if (entry.first_index == choice.first_index)
    for (const GeneratedToken& token : stream.prompt_tokens) entry.prompt_tokens.push_back(to_wire(token));
  entry.prompt_total = static_cast<std::uint32_t>(stream.prompt_tokens.size());
  entry.finish = choice.finish;
  entry.drafted = choice.drafted;
  entry.accepted = choice.accepted;
  entry.score = choice.score;
  if (stream.error) {
    entry.finish = FinishReason::error;
    entry.error = wire::WireError{stream.error->code, stream.error->detail.substr(0, wire::kMaxDetail.max)};
  }
  entries.push_back(std::move(entry));
}

/// Also what RequestEnded does: nothing of this placement is needed any more.
void WorkerState::on_cancel(const RequestId& request, Epoch epoch, TimePoint now, actors::Outbox& out) {
  std::vector<StreamKey> keys;
  for (auto at = streams_.lower_bound({request, {}, 0}); at != streams_.end() && at->first.request == request;
       ++at)
    if (at->first.epoch <= epoch) keys.push_back(at->first);
  for (const StreamKey& key : keys) erase_stream(streams_.find(key), now, out);
  std::erase_if(parked_, [&](const auto& entry) {
    return entry.first.request == request && entry.first.epoch <= epoch;
  });
  cancel_prefill(request, epoch);
}

void WorkerState::erase_stream(std::map<StreamKey, Stream>::iterator at, TimePoint now,
                               actors::Outbox& out) {
  if (at == streams_.end()) return;
  const StreamKey key = at->first;
  Stream& stream = at->second;
  if (stream.phase != Phase::done) {
    ++counters_.cancelled;
    if (stream.spans && !stream.orphaned_at) {  // nobody dials a gateway that is gone
      stream.spans->over({}, now);
      tell_spans(key, stream, now, out);
    }
    if (stream.phase == Phase::importing) release_import(key, stream, out);
    if (stream.attempt != 0) door_.post(stream.engine, CancelRequest{stream.engine_id});
  } else {
    std::erase(finished_, key);
    // An error of one choice ends the stream; the engine may still run the others.
    if (stream.error && stream.attempt != 0) door_.post(stream.engine, CancelRequest{stream.engine_id});
  }
  stream_of_.erase(stream.engine_id);
  streams_.erase(at);
}

void WorkerState::drain(TimePoint now, actors::Outbox& out) {
  draining_ = true;
  role_change_.reset();
  beat(now, out);
  next_beat_ = now + options_.heartbeat;
  offer_streams(now, out);
}

}  // namespace troupe::worker
