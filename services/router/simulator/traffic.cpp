#include "services/router/simulator/traffic.hpp"

#include <algorithm>
#include <cmath>

#include "services/router/simulator/random.hpp"

namespace troupe::router {
namespace {

/// Keys of beginnings lie below, of what belongs to one request above.
constexpr std::uint64_t kOwnBlocks = 1ULL << 40;

}  // namespace

Trace traffic_trace(const TrafficOptions& options) {
  Trace trace;
  trace.name = "traffic";
  trace.block_tokens = options.block_tokens;
  Random random(options.seed);
  const double span = std::chrono::duration<double>(options.span).count();
  const auto common = static_cast<std::uint32_t>(std::round(options.shared * options.prompt_tokens));
  const double own_mean = options.prompt_tokens - std::min(common, options.prompt_tokens);
  std::uint64_t next_block = kOwnBlocks;
  for (double at = random.exponential(1 / options.rate); at < span || trace.requests.empty();
       at += random.exponential(1 / options.rate)) {
    const auto own = static_cast<std::uint32_t>(std::round(own_mean * (0.5 + random.unit())));
    TraceRequest request;
    request.arrives = std::chrono::microseconds(static_cast<std::int64_t>(at * 1e6));
    request.prompt_tokens = std::max(1u, common + own);
    request.output_tokens =
        1 + static_cast<std::uint32_t>(random.exponential(std::max(0.0, options.answer_tokens - 1.0)));
    const std::uint64_t beginning = random.below(std::max(1u, options.beginnings));
    for (std::uint32_t i = 0; i * options.block_tokens < request.prompt_tokens; ++i) {
      const bool whole_common = (i + 1) * options.block_tokens <= common;
      request.blocks.push_back(whole_common ? (beginning << 20 | i) : next_block++);
    }
    trace.requests.push_back(std::move(request));
  }
  return trace;
}

}  // namespace troupe::router
