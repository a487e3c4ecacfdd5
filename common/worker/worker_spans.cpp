// What a worker tells of recorded requests: at the end of each stage, and before the message that follows
// from it, so that whoever gets both has the spans first. Who is asked for pages tells who asked, and that
// one its gateway: no connection is made for a trace.
#include "common/worker/worker_state.hpp"

namespace troupe::worker {
namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

Texts texts_of(const std::optional<Error>& error) {
  Texts out;
  if (error) out.emplace_back("error.type", name(error->code));
  return out;
}

}  // namespace

actors::SpanSource WorkerState::span_source(const RequestId& request, Epoch epoch,
                                            std::uint32_t choice) const {
  return {request, epoch, choice, options_.role, options_.name};
}

void WorkerState::tell_spans(const StreamKey& key, Stream& stream, TimePoint now, actors::Outbox& out) {
  if (!stream.spans) return;
  if (const auto told = stream.spans->take(now)) out.send(stream.gateway, *told, key.epoch);
}

/// What the source of a stream's pages did.
void WorkerState::on_spans(wire::Spans message, TimePoint now, actors::Outbox& out) {
  for (auto at = streams_.lower_bound({message.request, message.epoch, 0});
       at != streams_.end() && at->first.request == message.request && at->first.epoch == message.epoch;
       ++at) {
    Stream& stream = at->second;
    if (!stream.spans || stream.phase != Phase::importing) continue;
    const auto told = stream.spans->log().pass_on(std::move(message), stream.import.asked, now);
    if (told) out.send(stream.gateway, *told, at->first.epoch);
    return;
  }
}

void WorkerState::tell_prefill(const PrefillKey& key, PrefillJob& job, const Prefilled& report, TimePoint now,
                               actors::Outbox& out) {
  if (!job.spans) return;
  actors::SpanLog& log = *job.spans;
  actors::SpanDetails details;
  details.failed = report.error.has_value();
  details.numbers = {{"troupe.tokens", job.order.tokens}, {"troupe.cached_tokens", report.cached_tokens}};
  details.texts = texts_of(report.error);
  if (!report.news) {
    log.add("prefill", log.heard(), now, std::move(details));
  } else {
    const engine::StageTimes& times = report.news->times;
    log.add("queue", times.queued, times.admitted);
    details.numbers.emplace_back("troupe.chunks", report.news->prompt_steps);
    details.failed = false;  // it was computed; sending it is what failed
    details.texts.clear();
    log.add("prefill", times.admitted, times.last_token, details);
    log.add("send_pages", times.first_token, now,
            {report.error.has_value(), {{"troupe.frames", report.frames}}, texts_of(report.error)});
  }
  if (const auto told = log.take(now)) out.send(job.decode, *told, key.epoch);
}

void WorkerState::tell_export(ExportJob& job, const Exported& report, TimePoint now, actors::Outbox& out) {
  if (!job.spans) return;
  job.spans->add("send_pages", job.spans->heard(), now,
                 {report.error.has_value(), {{"troupe.tokens", report.tokens}}, texts_of(report.error)});
  if (const auto told = job.spans->take(now)) out.send(job.to, *told, job.order.epoch);
}

}  // namespace troupe::worker
