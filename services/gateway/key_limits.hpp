#pragma once
// How much one API key may ask for: requests and tokens per minute, requests at a time. What it is told of
// that in headers is in OpenAI's words.
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "services/gateway/api_keys.hpp"
#include "services/gateway/http_types.hpp"
#include "services/gateway/rate_bucket.hpp"

namespace troupe::gateway {

enum class KeyLimit : std::uint8_t { requests, tokens, concurrency };

/// Why a request may not come in now.
struct LimitRefusal {
  KeyLimit limit = KeyLimit::requests;
  std::uint64_t most = 0;    ///< what the key may
  std::uint64_t wanted = 0;  ///< by this request; over `most` it never fits
  Duration wait{};           ///< until it would fit, if nobody else of this key comes; zero: not known
};

/// Exact: however many threads ask, what passes is what the buckets hold. No clock: every call is told the
/// time. Threads: any.
class KeyLimits {
 public:
  KeyLimits(const KeyRates& rates, TimePoint now);

  /// Other rates from now on; what was used stays used, and nobody is thrown out.
  void set(const KeyRates& rates, TimePoint now);

  /// One request comes in; whoever was refused has taken nothing. Comes before the other calls.
  [[nodiscard]] std::optional<LimitRefusal> enter(TimePoint now);
  /// A request that came in is over.
  void leave();
  /// Tokens of a prompt and of the longest answer that was asked for.
  [[nodiscard]] std::optional<LimitRefusal> take_tokens(std::uint64_t amount, TimePoint now);
  /// `taken` were taken and `used` were used: the difference comes back, or is owed.
  void settle_tokens(std::uint64_t taken, std::uint64_t used, TimePoint now);

  /// x-ratelimit-limit-, -remaining- and -reset- of requests and tokens, as far as there is a limit.
  [[nodiscard]] std::vector<Header> headers(TimePoint now) const;
  [[nodiscard]] std::uint64_t running() const;

 private:
  static void set_bucket(std::optional<RateBucket>& bucket, std::uint64_t rate, TimePoint now);

  mutable std::mutex mutex_;
  std::optional<RateBucket> requests_, tokens_;  // none: no limit
  std::uint64_t most_running_ = 0, running_ = 0;
};

/// A time as OpenAI writes it: "120ms", "7.66s", "6m0s"; rounded up to milliseconds.
[[nodiscard]] std::string reset_text(Duration time);

}  // namespace troupe::gateway
