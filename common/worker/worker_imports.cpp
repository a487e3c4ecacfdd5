// Pages from a prefill worker. Nothing here decides what a stream says: whatever fails, the prompt is
// computed here.
#include <cstring>

#include "common/base/log.hpp"
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {
constexpr std::uint32_t kPageTokens = 64;

std::uint32_t left_ms(const std::optional<TimePoint>& deadline, TimePoint now) {
  if (!deadline) return 0;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - now).count();
  return left < 1 ? 1u : static_cast<std::uint32_t>(left);
}
}  // namespace

bool WorkerState::wants_import(const wire::Generate& order) {
  // Echoed log-probabilities need the prompt's logits, which only computing gives.
  return !order.prefill_address.empty() && !order.prompt_logprobs && order.prompt_tokens > kPageTokens;
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
  wire::Generate& order = stream.order;
  stream.phase = Phase::importing;
  stream.skip_tokens = report.skip_tokens;
  stream.lease = now + options_.lease;
  door_.imports().expect(key.request, {key.epoch, stream.engine, stream.engine_id, order.model});
  wire::PrefillRequest ask;
  ask.request = key.request;
  ask.epoch = key.epoch;
  ask.model = order.model;
  ask.tenant = order.tenant;
  ask.priority = order.priority;
  ask.tokens = stream.import_tokens;
  ask.skip_tokens = stream.skip_tokens;
  ask.data_address = options_.data_address;
  ask.deadline_ms = left_ms(stream.deadline, now);
  const std::vector<TokenId> wanted(order.prompt.begin(), order.prompt.begin() + stream.import_tokens);
  if (wanted.size() * sizeof(TokenId) + 512 <= wire::kMaxControlBytes) {
    ask.prompt = wanted;
  } else {
    ask.prompt_by_data = true;
    auto bytes = std::make_shared<std::vector<std::uint8_t>>(wanted.size() * sizeof(TokenId));
    std::memcpy(bytes->data(), wanted.data(), bytes->size());
    const wire::PromptFrame frame{key.request, key.epoch, 0, static_cast<std::uint32_t>(wanted.size()),
                                  frame_checksum(*bytes)};
    if (door_.send(order.prefill_data_address, wire::pack(frame, key.epoch), key.request, std::move(bytes)) !=
        SendResult::sent)
      return fall_back(key, stream, {Errc::transfer_failed, "the way to the prefill worker is full"}, now,
                       out);
  }
  out.send(order.prefill_address, ask, key.epoch);
}

void WorkerState::on_imported(const Imported& report, TimePoint now) {
  const auto at = find_stream(report.engine_id);
  if (at == streams_.end() || at->second.phase != Phase::importing) return;
  at->second.frames = report.frames;
  at->second.lease = now + options_.lease;
  commit_if_whole(at->second);
}

void WorkerState::on_prefill_done(const wire::PrefillDone& message, TimePoint now, actors::Outbox& out) {
  for (auto at = streams_.lower_bound({message.request, message.epoch, 0});
       at != streams_.end() && at->first.request == message.request && at->first.epoch == message.epoch;
       ++at) {
    Stream& stream = at->second;
    if (stream.phase != Phase::importing) continue;
    if (message.error)
      return fall_back(at->first, stream, {message.error->code, message.error->detail}, now, out);
    stream.frames_expected = message.frames;
    stream.cached_tokens = std::max(stream.skip_tokens, message.cached_tokens);
    stream.lease = now + options_.lease;
    return commit_if_whole(stream);
  }
  ++counters_.stale_epochs;
}

void WorkerState::commit_if_whole(Stream& stream) {
  if (!stream.frames_expected || stream.frames < *stream.frames_expected) return;
  stream.phase = Phase::committing;
  door_.imports().forget(stream.order.request, stream.order.epoch);
  door_.post(stream.engine, CommitImport{stream.engine_id});
}

void WorkerState::release_import(const StreamKey& key, Stream& stream, actors::Outbox& out) {
  door_.imports().forget(key.request, key.epoch);
  door_.drop_frames(key.request);
  out.send(stream.order.prefill_address, wire::Cancel{key.request, key.epoch}, key.epoch);
}

void WorkerState::fall_back(const StreamKey& key, Stream& stream, const Error& why, TimePoint now,
                            actors::Outbox& out) {
  ++counters_.prefill_fallbacks;
  log::warn("prefill failed, computing here", {{"request", to_hex(key.request)}, {"error", to_string(why)}});
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
