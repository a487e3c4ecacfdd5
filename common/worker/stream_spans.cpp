#include "common/worker/stream_spans.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::worker {
namespace {

actors::SpanDetails ended_by(std::string_view why) {
  actors::SpanDetails details;
  details.failed = !why.empty();
  if (details.failed) details.texts.emplace_back("error.type", why);
  return details;
}

}  // namespace

StreamSpans::StreamSpans(actors::SpanLog log, std::uint32_t first_choice, std::uint32_t choices)
    : log_(std::move(log)), first_choice_(first_choice), choices_(choices) {}

void StreamSpans::prompt_came(TimePoint now) {
  log_.add("wait_for_prompt", log_.heard(), now);
}

void StreamSpans::pages_asked(bool fetch, TimePoint now) {
  fetch_ = fetch;
  pages_ = log_.next_id();
  pages_asked_ = now;
}

void StreamSpans::pages_came(std::uint32_t tokens, std::string_view why, TimePoint now) {
  if (!pages_asked_) return;
  actors::SpanDetails details = ended_by(why);
  details.numbers.emplace_back("troupe.tokens", tokens);
  log_.add(pages_, log_.order_span(), fetch_ ? "fetch_pages" : "wait_for_pages", *pages_asked_, now,
           std::move(details));
  pages_asked_.reset();
  if (why.empty()) pages_came_ = now;
  due_ = true;
}

void StreamSpans::begin(Choice& choice, const engine::TokenEvent& event, TimePoint now) {
  choice.begun = true;
  choice.id = log_.next_id();
  choice.first = event.news ? event.news->times.first_token : now;
  if (event.news && event.choice == first_choice_) begin_first(event);
  due_ = true;
}

/// The prompt was everybody's, so it is told once.
void StreamSpans::begin_first(const engine::TokenEvent& event) {
  const engine::StageTimes& times = event.news->times;
  const bool imported = pages_came_ != TimePoint{};  // then it had its place since they were asked for
  if (!imported) log_.add("queue", times.queued, times.admitted);
  first_step_ = log_.next_id();
  actors::SpanDetails details;
  details.numbers = {{"troupe.chunks", event.news->prompt_steps},
                     {"troupe.cached_tokens", event.cached_tokens}};
  log_.add(first_step_, log_.order_span(), "first_step", std::max(times.admitted, pages_came_),
           times.first_token, std::move(details));
}

void StreamSpans::away(const Choice& choice, bool first, const engine::StageNews& news) {
  for (const engine::StageNews::Absence& absence : news.absences) {
    const bool in_prompt = absence.from < choice.first;
    if (in_prompt && !first) continue;
    actors::SpanDetails details;
    details.numbers.emplace_back("troupe.swapped", absence.swapped ? 1 : 0);
    log_.add(log_.next_id(), in_prompt ? first_step_ : choice.id, "preempted", absence.from, absence.to,
             std::move(details));
  }
}

void StreamSpans::first_came(TimePoint now) {
  Choice& choice = choices_[0];
  if (choice.begun || choice.ended) return;
  choice.begun = true;
  choice.id = log_.next_id();
  choice.first = now;
  choice.tokens = 1;
}

void StreamSpans::made(const engine::TokenEvent& event, TimePoint now) {
  if (event.choice < first_choice_ || event.choice - first_choice_ >= choices_.size()) return;
  Choice& choice = choices_[event.choice - first_choice_];
  if (choice.ended) return;
  if (event.error) return over(name(event.error->code), now);
  if (!event.tokens.empty()) {
    if (!choice.begun) begin(choice, event, now);
    choice.tokens += static_cast<std::uint32_t>(event.tokens.size());
    choice.steps += 1;
    choice.drafted += event.drafted_tokens;
    choice.accepted += event.accepted_tokens;
  }
  if (event.news) away(choice, event.choice == first_choice_, *event.news);
  if (event.finish != FinishReason::none)
    end(choice, event.choice, event.times ? event.times->last_token : now, {});
}

void StreamSpans::end(Choice& choice, std::uint32_t number, TimePoint at, std::string_view why) {
  choice.ended = true;
  due_ = true;
  if (!choice.begun) return;
  actors::SpanDetails details = ended_by(why);
  details.numbers = {
      {"troupe.choice", number}, {"troupe.tokens", choice.tokens}, {"troupe.steps", choice.steps}};
  if (choice.drafted != 0) {
    details.numbers.emplace_back("troupe.drafted_tokens", choice.drafted);
    details.numbers.emplace_back("troupe.accepted_tokens", choice.accepted);
  }
  log_.add(choice.id, log_.order_span(), "decode", choice.first, at, std::move(details));
}

void StreamSpans::over(std::string_view why, TimePoint now) {
  if (pages_asked_) pages_came(0, why.empty() ? "cancelled" : why, now);
  const bool begun = std::ranges::any_of(choices_, &Choice::begun);
  // It never came to a token: what there is of it is that it waited.
  if (!begun && !why.empty()) log_.add("queue", log_.heard(), now, ended_by(why));
  for (std::uint32_t i = 0; i < choices_.size(); ++i)
    if (!choices_[i].ended) end(choices_[i], first_choice_ + i, now, why);
  due_ = true;
}

std::optional<wire::Spans> StreamSpans::take(TimePoint now) {
  if (!std::exchange(due_, false)) return std::nullopt;
  return log_.take(now);
}

}  // namespace troupe::worker
