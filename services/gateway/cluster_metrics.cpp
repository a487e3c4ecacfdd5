#include "services/gateway/cluster_metrics.hpp"

#include <memory>
#include <vector>

namespace troupe::gateway {
namespace {

struct Row {
  metrics::Declaration row;
  std::uint64_t GatewayCounters::*value;
};

const std::vector<Row>& rows() {
  using C = GatewayCounters;
  static const std::vector<Row> kRows = {
      {{"troupe_gateway_streams_started_total", "Requests given to the cluster."}, &C::started},
      {{"troupe_gateway_streams_finished_total", "Requests whose every choice finished."}, &C::finished},
      {{"troupe_gateway_streams_failed_total", "Requests that ended with an error."}, &C::failed},
      {{"troupe_gateway_streams_cancelled_total", "Requests cancelled."}, &C::cancelled},
      {{"troupe_gateway_replays_held_total", "Times a repeated replay waited for the retry budget."}, &C::replays_held},
      {{"troupe_gateway_quarantined_total", "Requests refused after two workers died with them."}, &C::quarantined},
      {{"troupe_gateway_replays_total", "Streams moved to another worker under a new epoch."}, &C::replays},
      {{"troupe_gateway_handovers_total", "Streams moved from a draining worker while they went on."}, &C::handovers},
      {{"troupe_gateway_resends_total", "Times missing tokens were asked for."}, &C::resends},
      {{"troupe_gateway_probes_total", "Times a silent stream was asked after."}, &C::probes},
      {{"troupe_gateway_duplicate_tokens_total", "Tokens that came twice, dropped."}, &C::duplicate_tokens},
      {{"troupe_gateway_token_gaps_total", "Tokens that came before their predecessors."}, &C::gaps},
      {{"troupe_gateway_stale_epochs_total", "Messages of an older placement, dropped."}, &C::stale_epochs},
      {{"troupe_gateway_unknown_requests_total", "Tokens for requests that are over."}, &C::unknown_requests},
      {{"troupe_gateway_received_tokens_total", "Tokens received from workers, each once."}, &C::tokens},
      {{"troupe_gateway_prompts_by_data_total", "Prompts too long for a control message."},
       &C::prompts_by_data},
      {{"troupe_gateway_placed_by_view_total", "Requests placed by the last view, since no router answered."},
       &C::placed_by_view},
      {{"troupe_gateway_routers_lost_total", "Times the router in use was gone."}, &C::routers_lost},
      {{"troupe_gateway_release_refusals_total",
        "Joins that failed since this gateway's release does not serve with the router's or a member's."},
       &C::release_refusals},
      {{"troupe_gateway_spans_received_total", "Spans of recorded requests, from routers and workers."}, &C::spans_received},
      {{"troupe_gateway_spans_dropped_total", "Spans over a request's bound, or of requests not known any more."},
       &C::spans_dropped},
      {{"troupe_gateway_malformed_messages_total", "Messages that did not parse."}, &C::malformed},
  };
  return kRows;
}

}  // namespace

void add_cluster_metrics(metrics::Registry& registry, const ClusterDispatcher& dispatcher) {
  std::vector<metrics::Counter> counters;
  for (const Row& row : rows()) counters.push_back(registry.counter(row.row));
  const metrics::Counter refused = registry.counter(
      {"troupe_gateway_handshakes_refused_total", "Peers refused at the data port: without keys, or with others."});
  const metrics::Gauge in_flight = registry.gauge(
      {"troupe_gateway_in_flight_requests", "Requests the cluster works on.", metrics::Kind::gauge});
  auto before = std::make_shared<GatewayCounters>();  // owned by the registry's callback
  registry.before_collect([&dispatcher, counters, refused, in_flight, before] {
    const GatewayCounters now = dispatcher.counters();
    for (std::size_t i = 0; i < rows().size(); ++i)
      counters[i].add(static_cast<double>(now.*rows()[i].value - (*before).*rows()[i].value));
    *before = now;
    refused.add(static_cast<double>(dispatcher.handshakes_refused()) - refused.value());
    in_flight.set(static_cast<double>(dispatcher.in_flight()));
  });
}

}  // namespace troupe::gateway
