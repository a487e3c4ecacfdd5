#include "services/gateway/trace_book.hpp"

#include <algorithm>
#include <utility>

#include "common/trace/alignment.hpp"
#include "common/wire/role_name.hpp"

namespace troupe::gateway {
namespace {

trace::Span to_span(const wire::Spans::Span& told, const trace::Origin& origin) {
  trace::Span span;
  span.id = told.id;
  span.parent = told.parent;
  span.name = told.name;
  span.failed = told.failed;
  span.numbers = told.numbers;
  span.texts = told.texts;
  span.origin = origin;
  return span;
}

}  // namespace

TraceBook::Entry* TraceBook::find(const RequestId& id) {
  if (entries_.empty()) return nullptr;
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : &at->second;
}

wire::TraceLink TraceBook::link(const Entry& entry, const Exchange& exchange) {
  return {entry.trace->context().trace, exchange.id};
}

void TraceBook::begin(const RequestId& id, Trace trace) {
  if (!trace) return;
  Entry entry;
  entry.trace = std::move(trace);
  entries_.insert_or_assign(id, std::move(entry));
}

void TraceBook::open(std::map<Epoch, Exchange>& in, Epoch epoch, const char* name, TimePoint now) const {
  Exchange exchange;
  exchange.id = exchange.span.id = trace::random_span_id();
  exchange.sent = now;
  exchange.span.name = name;
  exchange.span.numbers.emplace_back("troupe.epoch", epoch.value);
  in.insert_or_assign(epoch, std::move(exchange));
}

/// Whether one more span is taken.
bool TraceBook::room(Entry& entry) {
  if (entry.spans >= limits_.spans) {
    ++counters_.dropped;
    return false;
  }
  ++entry.spans;
  return true;
}

void TraceBook::close(Entry& entry, Exchange& exchange, std::string_view why, TimePoint now) {
  if (!std::exchange(exchange.open, false) || !room(entry)) return;
  trace::Span span = std::move(exchange.span);
  span.parent = entry.trace->context().span;
  span.failed = !why.empty();
  if (span.failed) span.texts.emplace_back("error.type", why);
  entry.trace->add(std::move(span), exchange.sent, now);
}

wire::TraceLink TraceBook::asked(const RequestId& id, Epoch epoch, TimePoint now) {
  Entry* const entry = find(id);
  if (entry == nullptr) return {};
  const auto known = entry->places.find(epoch);
  if (known == entry->places.end() || !known->second.open) open(entry->places, epoch, "place", now);
  return link(*entry, entry->places.at(epoch));
}

void TraceBook::refused(const RequestId& id, Epoch epoch, const Error& why, TimePoint now) {
  Entry* const entry = find(id);
  if (entry == nullptr) return;
  if (const auto at = entry->places.find(epoch); at != entry->places.end())
    close(*entry, at->second, troupe::name(why.code), now);
}

void TraceBook::placed(const wire::Placement& placement, std::string decode, std::string prefill,
                       TimePoint now) {
  Entry* const entry = find(placement.request);
  if (entry == nullptr) return;
  if (const auto at = entry->places.find(placement.epoch); at != entry->places.end())
    close(*entry, at->second, {}, now);
  open(entry->placements, placement.epoch, "placement", now);
  auto& texts = entry->placements.at(placement.epoch).span.texts;
  texts.emplace_back("troupe.decode", std::move(decode));
  if (!prefill.empty()) texts.emplace_back("troupe.prefill", std::move(prefill));
  texts.emplace_back("troupe.reason", placement.reason);
}

wire::TraceLink TraceBook::order(const RequestId& id, Epoch epoch) const {
  if (entries_.empty()) return {};
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return {};
  const auto at = entry->second.placements.find(epoch);
  return at == entry->second.placements.end() ? wire::TraceLink{} : link(entry->second, at->second);
}

void TraceBook::left(const RequestId& id, Epoch epoch, std::string_view why, TimePoint now) {
  Entry* const entry = find(id);
  if (entry == nullptr) return;
  if (const auto at = entry->placements.find(epoch); at != entry->placements.end())
    close(*entry, at->second, why, now);
}

void TraceBook::over(const RequestId& id, std::string_view why, TimePoint now) {
  Entry* const entry = find(id);
  if (entry == nullptr || std::exchange(entry->over, true)) return;
  for (auto* exchanges : {&entry->places, &entry->placements})
    for (auto& [epoch, exchange] : *exchanges) close(*entry, exchange, why, now);
  late_.push_back(id);
  if (late_.size() <= limits_.late) return;
  entries_.erase(late_.front());
  late_.pop_front();
}

/// When the order came, by the clock here. What one order tells is placed by its first message, so that its
/// spans keep their distances.
TimePoint TraceBook::came(Exchange& exchange, const wire::Spans& message, Duration age, TimePoint now) {
  const auto [at, first] =
      exchange.heard.try_emplace(message.choice, trace::heard_at(exchange.sent, now, age));
  if (first && exchange.open &&
      message.role == wire::Role::router) {  // mailboxes included: what no span shows
    const auto transit = std::chrono::duration_cast<std::chrono::microseconds>(now - exchange.sent - age);
    exchange.span.numbers.emplace_back("troupe.transit_us", transit.count());
  }
  return at->second;
}

void TraceBook::take(const std::string& from, const wire::Spans& message, TimePoint now) {
  counters_.received += message.spans.size();
  counters_.dropped += message.dropped;
  if (message.spans.empty()) return;
  Exchange* exchange = nullptr;
  Entry* const entry = find(message.request);
  if (entry != nullptr) {
    auto& exchanges = message.role == wire::Role::router ? entry->places : entry->placements;
    if (const auto at = exchanges.find(message.epoch); at != exchanges.end()) exchange = &at->second;
  }
  if (exchange == nullptr || entry->spans >= limits_.spans) {
    counters_.dropped += message.spans.size();
    return;
  }
  const Duration age = trace::possible_age(exchange->sent, now, message.age_ns);
  const TimePoint heard = came(*exchange, message, age, now);
  trace::Origin origin{std::string(wire::role_name(message.role)), message.name};
  if (origin.instance.empty()) origin.instance = origin.role + "@" + from;
  const auto moment = [&](std::int64_t offset_ns) {
    return std::min(now, heard + std::clamp(Duration(offset_ns), Duration::zero(), age));
  };
  for (const wire::Spans::Span& told : message.spans)
    if (room(*entry)) entry->trace->add(to_span(told, origin), moment(told.start_ns), moment(told.end_ns));
}

}  // namespace troupe::gateway
