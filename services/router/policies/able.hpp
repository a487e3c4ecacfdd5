#pragma once
// What every policy refuses alike: a worker that is full, or that can never hold the prompt.
#include <string>

#include "services/router/policies/policy.hpp"

namespace troupe::router {

inline constexpr std::uint64_t kPageTokens = 64;

/// Tokens whose KV is read from disk in the time that one is computed. Measured: 25 (SmolLM2, 3,904 tokens in
/// 0.55 s against 14 s, two shared cores); a faster device computes more.
inline constexpr std::uint32_t kReadsPerComputed = 16;

[[nodiscard]] constexpr std::uint64_t pages_for(std::uint64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}

/// Indices of the candidates that can take the request now; never empty. Errors: as RouterPolicy::choose.
[[nodiscard]] Expected<std::vector<std::size_t>> able_to_take(const RequestView& request,
                                                              std::span<const Candidate> candidates);

/// Of `source`, what `worker` does not hold; 0: fewer than are worth fetching.
[[nodiscard]] std::uint32_t tokens_to_fetch(const RequestView& request, const Offer& offer,
                                            const Candidate& worker, const Source& source);

/// queue_full with when to try again, kept between 50 ms and 10 min.
[[nodiscard]] tl::unexpected<Error> refused_for(Duration wait, std::string detail);

}  // namespace troupe::router
