// Pages from a prefill worker, or from the cache of a peer. Nothing here decides what a stream says: whatever
// fails, the prompt is computed here.
#include <cstring>

#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"
#include "common/worker/first_token.hpp"
#include "common/worker/token_entries.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {
constexpr std::size_t kKeysPerFetch = 2500;  // 16 bytes each: below the control plane's size

std::uint32_t left_ms(const std::optional<TimePoint>& deadline, TimePoint now) {
  if (!deadline) return 0;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - now).count();
  return left < 1 ? 1u : static_cast<std::uint32_t>(left);
}

bool fits_message(std::uint32_t tokens, std::size_t more_bytes) {
  return tokens * sizeof(TokenId) + more_bytes + 512 <= wire::kMaxControlBytes;
}
}  // namespace

/// tokens 0: none. The last token is always computed, for its logits.
WorkerState::Import WorkerState::wanted_import(const Stream& stream) {
  const wire::Generate& order = stream.order;
  Import import;
  if (order.prompt_logprobs) return import;  // an echo needs the prompt's logits, which only computing gives
  if (!order.fetch_address.empty()) {
    import.fetch = true;
    import.address = order.fetch_address;
    import.tokens = std::min(order.fetch_tokens, order.prompt_tokens - 1) / kBlockTokens * kBlockTokens;
    return import;
  }
  if (order.prefill_address.empty()) return import;
  const bool foreign = !order.prefill_model.is_zero() && order.prefill_model != order.model;
  if (foreign && options_.conversion != Conversion::lossy) {
    ++counters_.conversions_refused;
    return import;
  }
  if (foreign) import.model = order.prefill_model;
  import.address = order.prefill_address;
  if (order.prompt_tokens <= models_[stream.engine].page_tokens) return import;
  import.tokens = (order.prompt_tokens - 1) / kBlockTokens * kBlockTokens;
  if (!foreign) import.draw_order = order_for_first(order);
  return import;
}

void WorkerState::on_reserved(const Reserved& report, TimePoint now, actors::Outbox& out) {
  const auto at = find_stream(report.engine_id);
  if (at == streams_.end()) return;
  Stream& stream = at->second;
  if (stream.phase != Phase::reserving) return;
  if (report.running) {
    stream.phase = Phase::running;
    stream.order.prompt.clear();
    return;
  }
  const StreamKey& key = at->first;
  stream.phase = Phase::importing;
  stream.import.skip_tokens = report.skip_tokens;
  stream.import.lease = LeaseId{stream.engine_id.low};
  stream.import.asked = now;
  if (stream.spans) stream.spans->pages_asked(stream.import.fetch, now);
  door_.imports().expect({{key.request, key.epoch, stream.import.lease},
                          stream.engine,
                          stream.engine_id,
                          stream.import.source(stream.order)});
  heard_source(stream, now);
  ask_source(key, stream, now, out);
}

/// Frames, or a word, came from where the pages are.
void WorkerState::heard_source(Stream& stream, TimePoint now) const {
  stream.lease =
      now + (stream.import.fetch ? std::min(options_.lease, options_.fetch_patience) : options_.lease);
}

void WorkerState::ask_source(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out) {
  if (stream.import.fetch) {
    stream.import.ask_at = now + options_.ask_again;
    return ask_peer(key, stream, out);
  }
  stream.import.ask_at = now + options_.lease / 3;  // it may compute for long before its first frame
  ask_prefill(key, stream, now, out);
}

/// Of the prompt, that a prefill worker is sent.
std::uint32_t WorkerState::asked_tokens(const Stream& stream) {
  return stream.import.draw_order.empty() ? stream.import.tokens : stream.order.prompt_tokens;
}

void WorkerState::ask_prefill(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out) {
  const wire::Generate& order = stream.order;
  wire::PrefillRequest ask;
  ask.request = key.request;
  ask.epoch = key.epoch;
  ask.model = stream.import.source(order);
  ask.tenant = order.tenant;
  ask.priority = order.priority;
  ask.tokens = stream.import.tokens;
  ask.skip_tokens = stream.import.skip_tokens;
  ask.data_address = options_.data_address;
  ask.deadline_ms = left_ms(stream.deadline, now);
  ask.lease = stream.import.lease;
  ask.host = options_.host;
  if (stream.spans) ask.trace = stream.spans->pages_link();
  ask.order = stream.import.draw_order;
  if (!ask.order.empty()) ask.prompt_tokens = order.prompt_tokens;
  const std::vector<TokenId> wanted(order.prompt.begin(), order.prompt.begin() + asked_tokens(stream));
  if (fits_message(asked_tokens(stream), ask.order.size())) {
    ask.prompt = wanted;
  } else {
    ask.prompt_by_data = true;
    std::vector<std::uint8_t> bytes(wanted.size() * sizeof(TokenId));
    std::memcpy(bytes.data(), wanted.data(), bytes.size());
    const wire::PromptFrame frame{key.request, key.epoch, 0, static_cast<std::uint32_t>(wanted.size()),
                                  frame_checksum(bytes)};
    if (door_.send(order.prefill_data_address, wire::pack(frame, key.epoch), key.request,
                   make_payload(std::move(bytes))) != SendResult::sent)
      return fall_back(key, stream, {Errc::transfer_failed, "the way to the prefill worker is full"}, now,
                       out);
  }
  out.send(order.prefill_address, ask, key.epoch);
}

void WorkerState::ask_peer(const StreamKey& key, const Stream& stream, actors::Outbox& out) const {
  const wire::Generate& order = stream.order;
  const auto keys =
      block_keys(order.model, order.tenant, std::span(order.prompt).first(stream.import.tokens));
  wire::KvFetch ask;
  ask.request = key.request;
  ask.epoch = key.epoch;
  ask.lease = stream.import.lease;
  ask.model = order.model;
  ask.blocks = static_cast<std::uint32_t>(keys.size());
  ask.skip_tokens = stream.import.skip_tokens;
  ask.data_address = options_.data_address;
  ask.host = options_.host;
  if (stream.spans) ask.trace = stream.spans->pages_link();
  for (std::size_t at = 0; at < keys.size(); at += kKeysPerFetch) {
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(at);
    ask.first_block = static_cast<std::uint32_t>(at);
    ask.keys.assign(begin, begin + static_cast<std::ptrdiff_t>(std::min(kKeysPerFetch, keys.size() - at)));
    out.send(stream.import.address, ask, key.epoch);
  }
}

/// A question or its answer may have been lost. Who has it already takes the second one for nothing more than
/// a question.
void WorkerState::ask_sources_again(TimePoint now, actors::Outbox& out) {
  std::vector<StreamKey> due;
  for (const auto& [key, stream] : streams_)
    if (stream.phase == Phase::importing && now >= stream.import.ask_at &&
        (stream.import.fetch || fits_message(asked_tokens(stream), stream.import.draw_order.size())))
      due.push_back(key);
  for (const StreamKey& key : due) {
    ++counters_.sources_asked_again;
    ask_source(key, streams_.at(key), now, out);
  }
}

void WorkerState::on_imported(const Imported& report, TimePoint now) {
  const auto at = find_stream(report.engine_id);
  if (at == streams_.end() || at->second.phase != Phase::importing) return;
  Stream& stream = at->second;
  stream.import.arrived_tokens = report.tokens;
  stream.import.ask_at = now + (stream.import.fetch ? options_.ask_again : options_.lease / 3);
  heard_source(stream, now);
  commit_if_whole(stream);
}

void WorkerState::on_prefill_done(const wire::PrefillDone& message, TimePoint now, actors::Outbox& out) {
  for (auto at = streams_.lower_bound({message.request, message.epoch, 0});
       at != streams_.end() && at->first.request == message.request && at->first.epoch == message.epoch;
       ++at) {
    Stream& stream = at->second;
    if (stream.phase != Phase::importing || stream.import.fetch) continue;
    if (message.error)
      return fall_back(at->first, stream, {message.error->code, message.error->detail}, now, out);
    stream.cached_tokens = std::max(stream.import.skip_tokens, message.cached_tokens);
    heard_source(stream, now);
    if (message.drawn) take_first(at->first, stream, message, now, out);
    if (message.pending || stream.phase == Phase::done) return;
    stream.import.sent_tokens = stream.import.tokens;
    return commit_if_whole(stream);
  }
  ++counters_.stale_epochs;
}

/// The answer begins before its pages are here. What follows goes on behind this token, whatever becomes of
/// them.
void WorkerState::take_first(const StreamKey& key, Stream& stream, const wire::PrefillDone& message,
                             TimePoint now, actors::Outbox& out) {
  const wire::Generate& order = stream.order;
  if (stream.drawn || stream.import.draw_order.empty() || message.drawn_choice != order.first_choice ||
      message.drawn_index != order.resumed_tokens)
    return;  // told already, or of another stream of this request
  ++counters_.first_tokens_taken;
  Choice& choice = stream.choices[0];
  choice.tokens.push_back(from_wire(*message.drawn));
  choice.finish = first_finish(order, choice.tokens[0].token, models_[stream.engine].info.context_length);
  stream.drawn = choice.tokens[0].token;
  if (stream.spans) {
    stream.spans->first_came(now);
    if (choice.finish != FinishReason::none) stream.spans->over({}, now);
    tell_spans(key, stream, now, out);
  }
  std::vector<wire::Tokens::Entry> entries;
  resend_from(key, stream, key.first_choice, order.resumed_tokens, entries);
  send_tokens(stream.gateway, std::move(entries), out);
  if (choice.finish != FinishReason::none) end_with_first(key, stream, now, out);
}

/// Nothing follows: the pages are not waited for.
void WorkerState::end_with_first(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out) {
  release_import(key, stream, out);
  door_.post(stream.engine, CancelRequest{stream.engine_id});
  if (options_.on_finished)
    options_.on_finished(stream.engine, {stream.import.asked, stream.import.asked, now, now});
  stream.phase = Phase::done;
  stream.lease = now + options_.lease;
  finished_.push_back(key);
  ++counters_.finished;
}

void WorkerState::on_fetched(const wire::KvFetched& message, TimePoint now, actors::Outbox& out) {
  for (auto at = streams_.lower_bound({message.request, message.epoch, 0});
       at != streams_.end() && at->first.request == message.request && at->first.epoch == message.epoch;
       ++at) {
    Stream& stream = at->second;
    if (stream.phase != Phase::importing || stream.import.lease != message.lease) continue;
    if (message.error)
      return fall_back(at->first, stream, {message.error->code, message.error->detail}, now, out);
    heard_source(stream, now);
    stream.import.ask_at = now + options_.ask_again;
    if (!message.done) return;
    // What the peer no longer holds is computed here.
    stream.import.sent_tokens = std::clamp(message.tokens, stream.import.skip_tokens, stream.import.tokens);
    return commit_if_whole(stream);
  }
  ++counters_.stale_epochs;
}

void WorkerState::commit_if_whole(Stream& stream) {
  const Import& import = stream.import;
  if (!import.sent_tokens || std::max(import.arrived_tokens, import.skip_tokens) < *import.sent_tokens)
    return;
  stream.phase = Phase::committing;
  door_.imports().forget(import.lease);
  door_.post(stream.engine, CommitImport{stream.engine_id, *import.sent_tokens, stream.drawn});
}

/// Its pages are here, and it runs.
void WorkerState::on_committed(const Committed& report, TimePoint now, actors::Outbox& out) {
  const auto at = find_stream(report.engine_id);
  if (at == streams_.end()) return;
  Stream& stream = at->second;
  const Import& import = stream.import;
  stream.phase = Phase::running;
  stream.order.prompt.clear();
  const std::uint32_t came = *import.sent_tokens - import.skip_tokens;
  if (stream.spans) stream.spans->pages_came(came, {}, now);
  tell_spans(at->first, stream, now, out);
  if (!import.fetch) {
    ++counters_.imports;
  } else if (came != 0) {
    ++counters_.fetches;
    counters_.fetched_tokens += came;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - import.asked).count();
    tell_routers(
        wire::PagesMoved{at->first.request, at->first.epoch, options_.node, stream.order.model,
                         import.address, came, static_cast<std::uint64_t>(std::max<std::int64_t>(took, 0))},
        out);
  }
  stream.converted = came != 0 && !import.model.is_zero();
  if (stream.converted)
    ++counters_.imports_lossy;
  else if (report.converted)
    ++counters_.imports_regrouped;
}

void WorkerState::release_import(const StreamKey& key, Stream& stream, actors::Outbox& out) {
  door_.imports().forget(stream.import.lease);
  if (stream.import.fetch)
    return out.send(stream.import.address, wire::KvFetchCancel{stream.import.lease}, key.epoch);
  door_.drop_frames(key.request);
  out.send(stream.import.address, wire::Cancel{key.request, key.epoch}, key.epoch);
}

void WorkerState::fall_back(const StreamKey& key, Stream& stream, const Error& why, TimePoint now,
                            actors::Outbox& out) {
  ++(stream.import.fetch ? counters_.fetch_fallbacks : counters_.prefill_fallbacks);
  log::warn("no pages came, computing here", {{"request", to_hex(key.request)}, {"error", to_string(why)}});
  if (stream.spans) stream.spans->pages_came(0, name(why.code), now);
  tell_spans(key, stream, now, out);
  if (stream.phase == Phase::importing) release_import(key, stream, out);
  door_.post(stream.engine, CancelRequest{stream.engine_id});
  stream.cached_tokens.reset();
  submit(key, stream, now);
}

/// A command failed. An import has a second way; a submitted request has none here.
void WorkerState::on_refused(std::size_t, const Refused& report, TimePoint now, actors::Outbox& out) {
  const auto at = find_stream(report.engine_id);
  if (at == streams_.end()) return;
  Stream& stream = at->second;
  const bool import = stream.phase == Phase::reserving || stream.phase == Phase::importing ||
                      stream.phase == Phase::committing;
  if (import && report.error.code != Errc::queue_full)
    return fall_back(at->first, stream, report.error, now, out);
  fail_stream(at->first, stream, report.error, now, out);
}

}  // namespace troupe::worker
