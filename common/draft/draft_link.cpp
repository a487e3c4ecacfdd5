#include "common/draft/draft_link.hpp"

#include <array>

namespace troupe::draft {

DraftLink::~DraftLink() {
  for (const Desk& desk : desks_) desk.desk->on_orders({});
  if (role_) runtime_->stop(role_);
}

std::shared_ptr<speculation::DraftSource> DraftLink::add_desk(const VocabularyId& vocabulary,
                                                              std::size_t most_sequences) {
  desks_.push_back({vocabulary, std::make_shared<DraftDesk>(most_sequences)});
  return desks_.back().desk;
}

Expected<void> DraftLink::start(actors::Runtime& runtime, const NodeId& node) {
  ClientOptions options;
  options.node = node;
  options.services = services_;
  options.on_change = [this](const DraftClient& client) {
    const std::lock_guard lock(mutex_);
    stats_ = client.stats();
  };
  auto role = runtime.spawn("draft-client", [&](const actors::RoleHandle&) {
    return std::make_unique<DraftClient>(std::move(options), desks_);
  });
  if (!role) return tl::unexpected<Error>(role.error());
  runtime_ = &runtime;
  role_ = *role;
  for (const Desk& desk : desks_)
    desk.desk->on_orders([role = role_] {
      role.post([](actors::RoleState& state, TimePoint now, actors::Outbox& out) {
        dynamic_cast<DraftClient&>(state).on_orders(now, out);
      });
    });
  return {};
}

ClientStats DraftLink::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

namespace {

using metrics::Declaration;
using metrics::Kind;

struct CounterRow {
  Declaration row;
  std::uint64_t ClientStats::*value;
};

const std::vector<CounterRow>& counters() {
  static const std::vector<CounterRow> kRows = {
      {{"troupe_draft_client_orders_total", "Orders for guesses that went to draft services."},
       &ClientStats::orders},
      {{"troupe_draft_client_answers_total", "Answers with guesses that came in time."},
       &ClientStats::answers},
      {{"troupe_draft_client_guesses_total", "Guesses in these answers."}, &ClientStats::guesses},
      {{"troupe_draft_client_lost_total",
        "Orders to sessions that the service had dropped: the whole text is told again."},
       &ClientStats::lost},
      {{"troupe_draft_client_refused_total", "Orders that a service refused."}, &ClientStats::refused},
      {{"troupe_draft_client_late_total",
        "Orders that were not answered in time, or whose service went away."},
       &ClientStats::late},
      {{"troupe_draft_client_stale_total", "Answers to what nobody waited for any more, dropped."},
       &ClientStats::stale},
      {{"troupe_draft_client_malformed_messages_total", "Messages that did not parse."},
       &ClientStats::malformed},
  };
  return kRows;
}

const Declaration kServices{"troupe_draft_client_services_count", "Draft services that can be asked now.",
                            Kind::gauge};

}  // namespace

void add_link_metrics(metrics::Registry& registry, const DraftLink& link) {
  struct Series {
    std::vector<metrics::Counter> counters;
    std::vector<std::uint64_t> before;
    metrics::Gauge services;
  };
  auto series = std::make_shared<Series>();  // owned by the registry's callback
  for (const CounterRow& row : counters()) series->counters.push_back(registry.counter(row.row));
  series->before.resize(counters().size(), 0);
  series->services = registry.gauge(kServices);
  registry.before_collect([series, &link] {
    const ClientStats now = link.stats();
    for (std::size_t i = 0; i < counters().size(); ++i) {
      const std::uint64_t value = now.*counters()[i].value;
      series->counters[i].add(static_cast<double>(value - series->before[i]));
      series->before[i] = value;
    }
    series->services.set(now.services);
  });
}

}  // namespace troupe::draft
