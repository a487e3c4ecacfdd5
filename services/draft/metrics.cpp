#include "services/draft/metrics.hpp"

#include <memory>

namespace troupe::draft {
namespace {

using metrics::Declaration;
using metrics::Kind;
using S = const ServiceSnapshot&;

std::uint64_t sum(S snapshot, std::uint64_t HostStats::*member) {
  std::uint64_t total = 0;
  for (const HostStats& host : snapshot.hosts) total += host.*member;
  return total;
}
double sum(S snapshot, std::uint32_t HostStats::*member) {
  double total = 0;
  for (const HostStats& host : snapshot.hosts) total += host.*member;
  return total;
}

struct CounterRow {
  Declaration row;
  std::uint64_t (*read)(S);
};
struct GaugeRow {
  Declaration row;
  double (*read)(S);
};

const std::vector<CounterRow>& counters() {
  static const std::vector<CounterRow> kRows = {
      {{"troupe_draft_asks_total", "Messages with orders, an engine step's each."},
       [](S s) { return s.counters.asks; }},
      {{"troupe_draft_orders_total", "Orders that reached a draft model."},
       [](S s) { return sum(s, &HostStats::orders); }},
      {{"troupe_draft_orders_refused_total",
        "Orders refused: too many, no such vocabulary, draining, no room."},
       [](S s) { return s.counters.refused + sum(s, &HostStats::refused); }},
      {{"troupe_draft_orders_late_total", "Orders whose time was over before all was guessed."},
       [](S s) { return sum(s, &HostStats::late); }},
      {{"troupe_draft_orders_replaced_total",
        "Orders that a later one of their session overtook: the target went another way."},
       [](S s) { return sum(s, &HostStats::replaced); }},
      {{"troupe_draft_orders_lost_total", "Orders to sessions that were dropped or held another text."},
       [](S s) { return sum(s, &HostStats::lost); }},
      {{"troupe_draft_guesses_total", "Tokens guessed."}, [](S s) { return sum(s, &HostStats::guesses); }},
      {{"troupe_draft_passes_total", "Passes of draft models."},
       [](S s) { return sum(s, &HostStats::passes); }},
      {{"troupe_draft_rows_total", "Rows of these passes."}, [](S s) { return sum(s, &HostStats::rows); }},
      {{"troupe_draft_sessions_evicted_total", "Sessions dropped for others' pages or places."},
       [](S s) { return sum(s, &HostStats::evicted); }},
      {{"troupe_draft_sessions_expired_total", "Sessions whose lease ended."},
       [](S s) { return sum(s, &HostStats::expired); }},
      {{"troupe_draft_malformed_messages_total", "Messages that did not parse."},
       [](S s) { return s.counters.malformed; }},
  };
  return kRows;
}

const std::vector<GaugeRow>& gauges() {
  static const std::vector<GaugeRow> kRows = {
      {{"troupe_draft_sessions_count", "Sessions held.", Kind::gauge},
       [](S s) { return sum(s, &HostStats::sessions); }},
      {{"troupe_draft_sessions_working_count", "Of them, those with an order.", Kind::gauge},
       [](S s) { return sum(s, &HostStats::working); }},
      {{"troupe_draft_clients_count", "Decode workers that have asked.", Kind::gauge},
       [](S s) { return static_cast<double>(s.counters.clients); }},
      {{"troupe_draft_pages_total_count", "KV pages of draft models.", Kind::gauge},
       [](S s) { return sum(s, &HostStats::pages_total); }},
      {{"troupe_draft_pages_free_count", "KV pages that no session holds.", Kind::gauge},
       [](S s) { return sum(s, &HostStats::pages_free); }},
  };
  return kRows;
}

struct Mirror {
  explicit Mirror(metrics::Registry& registry) : before(draft::counters().size(), 0) {
    for (const CounterRow& row : draft::counters()) counters.push_back(registry.counter(row.row));
    for (const GaugeRow& row : draft::gauges()) gauges.push_back(registry.gauge(row.row));
  }
  void show(S now) {
    for (std::size_t i = 0; i < counters.size(); ++i) {
      const std::uint64_t value = draft::counters()[i].read(now);
      counters[i].add(static_cast<double>(value - before[i]));
      before[i] = value;
    }
    for (std::size_t i = 0; i < gauges.size(); ++i) gauges[i].set(draft::gauges()[i].read(now));
  }
  std::vector<metrics::Counter> counters;
  std::vector<metrics::Gauge> gauges;
  std::vector<std::uint64_t> before;
};

}  // namespace

void add_service_metrics(metrics::Registry& registry, const DraftService& service) {
  auto mirror = std::make_shared<Mirror>(registry);  // owned by the registry's callback
  registry.before_collect([mirror, &service] { mirror->show(service.snapshot()); });
}

}  // namespace troupe::draft
