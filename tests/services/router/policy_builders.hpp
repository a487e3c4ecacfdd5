#pragma once
// Candidates as a test wants them.
#include "services/router/policies/policy.hpp"

namespace troupe::router {

/// An idle worker of 1,000 pages and 64 places.
inline Candidate worker(std::uint64_t id, std::string_view name, std::uint32_t cached = 0,
                        double queued = 0) {
  Candidate c{NodeId{id, id}, name, cached, 0, 64, 1000, 1000};
  c.pages_free = 1000;
  c.queued_tokens = queued;
  c.costs = {1000, 100, 100, 50};
  return c;
}

/// A holder of `held` tokens of 20 kB each; its line takes `token_us` for one.
inline Source source(const Candidate& of, std::uint32_t held, double token_us) {
  Source s{of.node, of.name, held};
  s.token_bytes = 20000;
  s.costs.any = {3000, token_us / s.token_bytes};
  return s;
}

inline RequestView prompt(std::uint32_t tokens, std::uint64_t ticket = 0) {
  RequestView view;
  view.prompt_tokens = tokens;
  view.max_tokens = 100;
  view.ticket = ticket;
  return view;
}

}  // namespace troupe::router
