// From entries to sinks: in order, without gaps or repeats, of the current epoch only.
#include <algorithm>

#include "common/base/log.hpp"
#include "services/gateway/gateway_state.hpp"

namespace troupe::gateway {
namespace {

GeneratedToken from_wire(const wire::WireToken& token) {
  GeneratedToken out{token.token, token.logprob, {}};
  out.top.reserve(token.top.size());
  for (const auto& [id, logprob] : token.top) out.top.push_back({id, logprob});
  return out;
}

}  // namespace

void GatewayState::on_tokens(const std::string& from, const wire::Tokens& message, TimePoint now,
                             actors::Outbox& out) {
  for (std::uint32_t i = 0; i < message.entries.size(); ++i) {
    const bool converted = std::ranges::find(message.converted, i) != message.converted.end();
    on_entry(from, message.entries[i], converted, now, out);
  }
}

void GatewayState::ask_again(Request& request, std::uint32_t choice, TimePoint now, actors::Outbox& out) {
  ++counters_.resends;
  request.choices[choice].gap_asked = now;
  out.send(request.placement.decode_address,
           wire::Resend{request.job.id, request.epoch, choice,
                        static_cast<std::uint32_t>(request.choices[choice].emitted.size())},
           request.epoch);
}

/// Each worker's vector has the same bits, so that of a draining worker counts as well.
void GatewayState::on_vector(wire::EmbedReply reply, TimePoint now, actors::Outbox& out) {
  const auto at = requests_.find(reply.request);
  if (at == requests_.end()) {
    ++counters_.unknown_requests;
    return;
  }
  Request& request = at->second;
  const bool old = request.move && request.move->placed && reply.epoch == request.move->old_epoch;
  if ((reply.epoch != request.epoch && !old) || request.phase == Phase::placing ||
      request.job.pooling == Pooling::none || reply.vector.empty()) {
    ++counters_.stale_epochs;
    return;
  }
  if (!old) tell_start(request, reply.cached_tokens, now, out);
  request.choices[0].finished = true;
  request.sink->on_start({reply.cached_tokens, {}, false});
  request.sink->on_vector(std::move(reply.vector));
  finish(at, now, out);
}

void GatewayState::tell_start(Request& request, std::uint32_t cached_tokens, TimePoint now,
                              actors::Outbox& out) {
  if (request.start_told) return;
  request.start_told = true;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - request.sent).count();
  out.send(
      router(),
      wire::RequestStarted{request.job.id, request.epoch,
                           static_cast<std::uint64_t>(std::max<std::int64_t>(took, 0)), cached_tokens},
      request.epoch);
}

/// The echoed prompt precedes the first token and may come in parts. false: a part is missing.
bool GatewayState::take_echo(Request& request, const wire::Tokens::Entry& entry) {
  if (request.started || !request.job.prompt_logprobs) return true;
  if (entry.prompt_first == request.prompt_logprobs.size())
    for (const wire::WireToken& token : entry.prompt_tokens)
      request.prompt_logprobs.push_back(from_wire(token));
  return request.prompt_logprobs.size() >= entry.prompt_total;
}

/// A placement counts from its beginning, and may say so more than once. Returns how many guesses came true since.
std::uint64_t GatewayState::note_drafts(Choice& choice, const wire::Tokens::Entry& entry) {
  if (entry.epoch != choice.drafts_epoch) {
    choice.drafts_epoch = entry.epoch;
    choice.earlier.drafted += choice.drafts.drafted;
    choice.earlier.accepted += choice.drafts.accepted;
    choice.drafts = {};
  }
  choice.drafts.drafted = std::max<std::uint64_t>(choice.drafts.drafted, entry.drafted);
  const std::uint64_t before = choice.drafts.accepted;
  choice.drafts.accepted = std::max<std::uint64_t>(before, entry.accepted);
  return choice.drafts.accepted - before;
}

void GatewayState::on_entry(const std::string& from, const wire::Tokens::Entry& entry, bool converted,
                            TimePoint now, actors::Outbox& out) {
  const auto at = requests_.find(entry.request);
  if (at == requests_.end()) {  // a cancel that was lost: say it again
    ++counters_.unknown_requests;
    if (entry.finish == FinishReason::none)
      out.send(from, wire::Cancel{entry.request, entry.epoch}, entry.epoch);
    return;
  }
  Request& request = at->second;
  const bool old = request.move && request.move->placed && entry.epoch == request.move->old_epoch;
  if ((entry.epoch != request.epoch && !old) || request.phase == Phase::placing ||
      entry.choice >= request.choices.size()) {
    ++counters_.stale_epochs;
    return;
  }
  Choice& choice = request.choices[entry.choice];
  if (old) {  // the same tokens as from the new worker, as long as they come; whatever else it says is of no account
    if (entry.error || entry.finish == FinishReason::error || entry.first_index > choice.emitted.size()) return;
  } else {
    choice.heard = now;
    choice.probed.reset();
  }
  if (entry.error || entry.finish == FinishReason::error) {
    const Error error = entry.error ? Error{entry.error->code, entry.error->detail}
                                    : Error{Errc::internal, "the worker gave no reason"};
    const bool again =
        retry_class(error.code) == Retry::elsewhere ||
        (request.started && retry_class(error.code) == Retry::later && error.code != Errc::deadline_exceeded);
    if (again) {
      replay(at, error, now, out);
    } else {
      fail_request(at, error, now, out);
    }
    return;
  }
  if (!old && request.move && (!entry.tokens.empty() || entry.finish != FinishReason::none))
    moved(request, entry.choice, now, out);
  if (choice.finished) return;
  const std::uint64_t accepted = old ? 0 : note_drafts(choice, entry);
  const auto have = static_cast<std::uint32_t>(choice.emitted.size());
  const auto end = static_cast<std::uint32_t>(entry.first_index + entry.tokens.size());
  if (entry.first_index > have) {
    ++counters_.gaps;
    if (!choice.gap_asked) ask_again(request, entry.choice, now, out);
    return;
  }
  const bool part =
      !entry.prompt_tokens.empty() && entry.tokens.empty() && entry.finish == FinishReason::none;
  if (!take_echo(request, entry)) {
    if (!part && !choice.gap_asked) ask_again(request, entry.choice, now, out);
    return;
  }
  const std::uint32_t skip = std::min(have - entry.first_index, end - entry.first_index);
  counters_.duplicate_tokens += skip;
  const bool whole = end >= have;
  choice.gap_asked.reset();
  std::vector<GeneratedToken> fresh;
  for (std::uint32_t i = skip; i < entry.tokens.size(); ++i) {
    fresh.push_back(from_wire(entry.tokens[i]));
    choice.emitted.push_back(entry.tokens[i].token);
  }
  counters_.tokens += fresh.size();
  if (!entry.tokens.empty()) tell_start(request, entry.cached_tokens, now, out);
  if (!fresh.empty()) request.replays = 0;
  const FinishReason finish_reason = whole ? entry.finish : FinishReason::none;
  if (fresh.empty() && finish_reason == FinishReason::none) return;
  if (!request.started) {
    request.started = true;
    request.sink->on_start(
        {std::min(entry.cached_tokens, static_cast<std::uint32_t>(request.job.prompt.size())),
         std::move(request.prompt_logprobs), converted});
  }
  if (finish_reason != FinishReason::none) choice.finished = true;
  if (entry.score) request.sink->on_score(entry.choice, *entry.score);
  // A step's guesses stand before its own token; of the tokens of several steps nobody knows which they were.
  if (accepted > skip && entry.tokens.size() <= accepted + 1)
    request.sink->on_drafted(entry.choice, static_cast<std::uint32_t>(accepted) - skip);
  request.sink->on_tokens(entry.choice, fresh, finish_reason);
  if (std::all_of(request.choices.begin(), request.choices.end(), [](const Choice& c) { return c.finished; }))
    finish(at, now, out);
}

void GatewayState::finish(Requests::iterator at, TimePoint now, actors::Outbox& out) {
  Request request = std::move(at->second);
  requests_.erase(at);
  ++counters_.finished;
  traces_.over(request.job.id, {}, now);
  retries_.succeeded();
  end_move(request, out);
  out.send(request.placement.decode_address, wire::RequestEnded{request.job.id, request.epoch, wire::Outcome::answered}, request.epoch);
  out.send(router(), wire::RequestEnded{request.job.id, request.asked, wire::Outcome::answered}, request.asked);
  DraftUsage drafts;
  for (const Choice& choice : request.choices) {
    drafts.drafted += choice.earlier.drafted + choice.drafts.drafted;
    drafts.accepted += choice.earlier.accepted + choice.drafts.accepted;
  }
  request.sink->on_done(drafts);
}

void GatewayState::fail_request(Requests::iterator at, const Error& error, TimePoint now, actors::Outbox& out) {
  Request request = std::move(at->second);
  requests_.erase(at);
  ++counters_.failed;
  traces_.over(request.job.id, name(error.code), now);
  end_move(request, out);
  end_placement(request, out);
  const bool failed = request.phase != Phase::placing && retry_class(error.code) == Retry::elsewhere;
  const auto outcome = failed ? wire::Outcome::failed : wire::Outcome::dropped;
  out.send(router(), wire::RequestEnded{request.job.id, request.asked, outcome}, request.asked);
  request.sink->on_error(error);
}

}  // namespace troupe::gateway
