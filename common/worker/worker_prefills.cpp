// Prompts computed for decode workers, and long prompts that wait for the message they belong to.
#include <cstring>

#include "common/base/log.hpp"
#include "common/kv/block_key.hpp"
#include "common/worker/first_token.hpp"
#include "common/worker/token_entries.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {

void WorkerState::on_prefill_request(const std::string& from, wire::PrefillRequest order, TimePoint now,
                                     actors::Outbox& out) {
  const PrefillKey key{order.request, order.epoch};
  if (prefills_.contains(key)) return;  // a repeat
  const auto refuse = [&](Errc code, std::string detail) {
    ++counters_.prefills_failed;
    out.send(from, wire::PrefillDone{key.request, key.epoch, wire::WireError{code, std::move(detail)}},
             key.epoch);
  };
  if (refuses_new()) return refuse(Errc::draining, options_.name + " takes nothing new");
  const auto engine = engine_of(order.model);
  if (!engine)
    return refuse(Errc::numerics_mismatch,
                  options_.name + " does not compute model id " + to_hex(order.model));
  if (order.tokens == 0 || order.tokens % kBlockTokens != 0 || order.skip_tokens >= order.tokens ||
      order.skip_tokens % kBlockTokens != 0 || order.data_address.empty() ||
      (!order.prompt_by_data && order.prompt.size() < prompt_tokens(order)))
    return refuse(Errc::wire_malformed, "a PrefillRequest asks for " + std::to_string(order.tokens) +
                                            " tokens from " + std::to_string(order.skip_tokens) +
                                            " and brings " + std::to_string(order.prompt.size()));
  if (prefills_.size() >= options_.max_streams)
    return refuse(Errc::queue_full, options_.name + " computes enough prompts");
  if (order.prompt_by_data) {
    if (auto prompt = claim_prompt({key.request, key.epoch, 0}, prompt_tokens(order))) {
      order.prompt = std::move(*prompt);
      order.prompt_by_data = false;
    }
  }
  PrefillJob job;
  job.decode = from;
  job.engine = *engine;
  job.waits_for_prompt = order.prompt_by_data;
  job.lease = now + options_.lease;
  if (order.trace.recorded())
    job.spans = std::make_unique<actors::SpanLog>(order.trace, span_source(key.request, key.epoch, 0), now);
  job.order = std::move(order);
  PrefillJob& placed = prefills_.emplace(key, std::move(job)).first->second;
  if (!placed.waits_for_prompt) begin_prefill(key, placed, now);
}

void WorkerState::begin_prefill(const PrefillKey& key, PrefillJob& job, TimePoint now) {
  if (std::exchange(job.waits_for_prompt, false) && job.spans)
    job.spans->add("wait_for_prompt", job.spans->heard(), now);
  job.engine_id = next_engine_id();
  prefill_of_[job.engine_id] = key;
  Prefill command;
  job.stream = stream_of(job.order, models_[job.engine].info.context_length);
  if (job.stream) {
    command.request = request_of(*job.stream);
    command.request.draw_first = true;
  }
  command.request.id = job.engine_id;
  command.request.epoch = key.epoch;
  command.request.tenant = job.order.tenant;
  command.request.priority = job.order.priority;
  command.request.prompt = std::move(job.order.prompt);
  command.request.prompt.resize(job.stream ? job.order.prompt_tokens : job.order.tokens);
  if (!job.stream) command.request.max_tokens = 0;  // no answer has to fit behind it
  command.request.traced = job.spans != nullptr;
  if (job.order.deadline_ms != 0)
    command.request.deadline = now + std::chrono::milliseconds(job.order.deadline_ms);
  command.tokens = job.order.tokens;
  command.skip_tokens = job.order.skip_tokens;
  command.transfer = {key.request, key.epoch, job.order.lease};
  command.data_address = job.order.data_address;
  command.host = job.order.host;
  door_.post(job.engine, std::move(command));
}

/// Whoever owns the stream gives it to the client now: its pages are still on their way.
void WorkerState::on_drawn(const Drawn& report, actors::Outbox& out) {
  const auto found = prefill_of_.find(report.engine_id);
  if (found == prefill_of_.end()) return;  // cancelled meanwhile
  PrefillJob& job = prefills_.at(found->second);
  job.drawn = report.token;
  ++counters_.first_tokens_drawn;
  wire::PrefillDone news{job.order.request, job.order.epoch, std::nullopt, 0, report.cached_tokens, true};
  say_first(news, *job.stream, report.token);
  out.send(job.decode, news, job.order.epoch);
}

void WorkerState::on_prefilled(const Prefilled& report, TimePoint now, actors::Outbox& out) {
  const auto found = prefill_of_.find(report.engine_id);
  if (found == prefill_of_.end()) return;  // cancelled meanwhile
  const PrefillKey key = found->second;
  PrefillJob& job = prefills_.at(key);
  tell_prefill(key, job, report, now, out);
  const std::string decode = job.decode;
  wire::PrefillDone done{key.request, key.epoch, std::nullopt, report.frames, report.cached_tokens};
  if (job.drawn) say_first(done, *job.stream, *job.drawn);
  prefill_of_.erase(found);
  prefills_.erase(key);
  if (report.error) {
    ++counters_.prefills_failed;
    done.error = wire::WireError{report.error->code, report.error->detail.substr(0, wire::kMaxDetail.max)};
  } else {
    ++counters_.prefills;
  }
  out.send(decode, done, key.epoch);
}

void WorkerState::cancel_prefill(const RequestId& request, Epoch epoch) {
  for (auto at = prefills_.lower_bound({request, {}});
       at != prefills_.end() && at->first.request == request;) {
    if (at->first.epoch > epoch) break;
    if (!at->second.waits_for_prompt) {
      door_.post(at->second.engine, CancelRequest{at->second.engine_id});
      door_.drop_frames(request);
      prefill_of_.erase(at->second.engine_id);
    }
    at = prefills_.erase(at);
  }
}

std::optional<std::vector<TokenId>> WorkerState::claim_prompt(const StreamKey& key, std::uint32_t tokens) {
  const auto found = parked_.find(key);
  if (found == parked_.end() || found->second.tokens.size() < tokens) return std::nullopt;
  auto prompt = std::move(found->second.tokens);
  parked_.erase(found);
  prompt.resize(tokens);
  return prompt;
}

void WorkerState::on_prompt(const wire::PromptFrame& header, FramePayload payload, TimePoint now,
                            actors::Outbox& out) {
  if (payload->size() != std::size_t{header.tokens} * sizeof(TokenId) ||
      header.tokens > wire::kMaxPromptTokens.max) {
    ++counters_.malformed;
    return;
  }
  std::vector<TokenId> tokens(header.tokens);
  std::memcpy(tokens.data(), payload->data(), payload->size());
  // Who waits for it: a stream, a prefill, or nobody yet.
  const StreamKey place{header.request, header.epoch, header.frame};
  if (const auto at = streams_.find(place); at != streams_.end()) {
    Stream& stream = at->second;
    if (stream.phase != Phase::prompt || stream.order.prompt_tokens != header.tokens) return;
    stream.order.prompt = std::move(tokens);
    stream.order.prompt_by_data = false;
    if (stream.spans) stream.spans->prompt_came(now);
    return begin(place, stream, now, out);
  }
  const PrefillKey key{header.request, header.epoch};
  if (const auto job = prefills_.find(key); job != prefills_.end()) {
    if (!job->second.waits_for_prompt || header.tokens < prompt_tokens(job->second.order)) return;
    job->second.order.prompt = std::move(tokens);
    return begin_prefill(key, job->second, now);
  }
  if (parked_.size() >= options_.max_prompts) {
    log::warn("a prompt without its message was dropped", {{"request", to_hex(header.request)}});
    return;
  }
  parked_[place] = {std::move(tokens), now + options_.lease};
}

}  // namespace troupe::worker
