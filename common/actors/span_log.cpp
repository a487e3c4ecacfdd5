#include "common/actors/span_log.hpp"

#include <algorithm>

#include "common/base/hash.hpp"
#include "common/trace/alignment.hpp"

namespace troupe::actors {
namespace {
constexpr std::size_t kMostText =
    200;  // of an attribute: a full message stays below the control plane's size
}

SpanLog::SpanLog(const wire::TraceLink& order, SpanSource source, TimePoint heard)
    : order_(order), source_(std::move(source)), heard_(heard) {}

/// Of the order's own unguessable ids, so that who tells needs no random source; unlike those of any other
/// order.
trace::SpanId SpanLog::next_id() {
  Hasher hasher;
  hasher.id(order_.id).number(order_.span.value).number(source_.epoch.value).number(source_.choice);
  hasher.text(source_.name).number(static_cast<std::uint64_t>(source_.role)).number(++ids_);
  const auto hash = hasher.finish<trace::TraceId>();
  return {hash.low == 0 ? 1 : hash.low};
}

std::int64_t SpanLog::offset(TimePoint at) const {
  return std::max<std::int64_t>(0, (at - heard_).count());
}

void SpanLog::add(std::string_view name, TimePoint from, TimePoint to, SpanDetails details) {
  add(next_id(), order_.span, name, from, to, std::move(details));
}

void SpanLog::add(trace::SpanId id, trace::SpanId parent, std::string_view name, TimePoint from, TimePoint to,
                  SpanDetails details) {
  if (taken_ >= kMostSpans || waiting_.size() >= wire::kMaxSpans.max) {
    ++dropped_;
    return;
  }
  ++taken_;
  for (auto& [key, text] : details.texts)
    if (text.size() > kMostText) text.resize(kMostText);
  wire::Spans::Span span;
  span.id = id;
  span.parent = parent;
  span.name = name;
  span.start_ns = offset(from);
  span.end_ns = std::max(span.start_ns, offset(to));
  span.failed = details.failed;
  span.numbers = std::move(details.numbers);
  span.texts = std::move(details.texts);
  waiting_.push_back(std::move(span));
}

wire::Spans SpanLog::message(TimePoint now) {
  wire::Spans out;
  out.request = source_.request;
  out.epoch = source_.epoch;
  out.choice = source_.choice;
  out.role = source_.role;
  out.name = source_.name;
  out.age_ns = offset(now);
  out.dropped = std::exchange(dropped_, 0);
  return out;
}

std::optional<wire::Spans> SpanLog::take(TimePoint now) {
  if (waiting_.empty() && dropped_ == 0) return std::nullopt;
  wire::Spans out = message(now);
  out.spans = std::exchange(waiting_, {});
  return out;
}

std::optional<wire::Spans> SpanLog::pass_on(wire::Spans theirs, TimePoint asked, TimePoint now) {
  if (taken_ + theirs.spans.size() > kMostSpans) {
    dropped_ += static_cast<std::uint32_t>(theirs.spans.size()) + theirs.dropped;
    return std::nullopt;
  }
  taken_ += theirs.spans.size();
  const Duration possible = trace::possible_age(asked, now, theirs.age_ns);
  const std::int64_t age = possible.count(), latest = offset(now);
  const std::int64_t shift = offset(trace::heard_at(asked, now, possible));
  for (wire::Spans::Span& span : theirs.spans) {
    span.start_ns = std::min(latest, shift + std::clamp<std::int64_t>(span.start_ns, 0, age));
    span.end_ns = std::min(latest, shift + std::clamp<std::int64_t>(span.end_ns, 0, age));
  }
  wire::Spans out = message(now);
  out.role = theirs.role;
  out.name = std::move(theirs.name);
  out.dropped += theirs.dropped;
  out.spans = std::move(theirs.spans);
  return out;
}

}  // namespace troupe::actors
