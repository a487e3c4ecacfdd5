#pragma once
// Chooses the workers that take a request. A new policy: one source, one test, one line in builtin.cpp, one
// in CMake.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "services/router/transfer_models.hpp"
#include "services/router/ttft_model.hpp"

namespace troupe::router {

struct RequestView {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t choices = 1;
  std::uint64_t ticket = 0;               ///< running number of the router; what policies turn and draw by
  std::int32_t priority = 0;              ///< higher goes first
  std::optional<Duration> deadline = {};  ///< left for the whole answer
  std::uint64_t session = 0;              ///< hash of what its client calls the session; 0: none
  std::uint64_t prefix_hash = 0;          ///< of the prompt's beginning: equal for prompts that share it
};

/// A ready worker of the right role and model, as the router sees it now.
struct Candidate {
  NodeId node;
  std::string_view name;
  std::uint32_t cached_tokens = 0;  ///< leading prompt tokens it holds
  std::uint32_t load = 0;      ///< sequences running or waiting, those placed since its last word included
  std::uint32_t capacity = 0;  ///< of `load`; 0: unknown
  std::uint32_t pages_total = 0;
  std::uint32_t pages_available = 0;  ///< free, or cached and evictable
  bool predicted = false;             ///< cached_tokens are a guess: it tells nothing of its cache
  std::uint32_t pages_free = 0;       ///< hold nothing
  double queued_tokens = 0;           ///< uncached prompt tokens that are computed before this request's
  double decode_rows = 0;             ///< sequences that make tokens while it waits
  TtftCoefficients costs = {};        ///< learnt of this worker
  double drain_us = 0;                ///< a queued token's, as its queue was seen to shrink; 0: unknown
  double transfer_us = 0;             ///< of one token's pages to it
  std::uint32_t on_disk_tokens = 0;   ///< of cached_tokens, those it reads from disk first
  ModelId model = {};                 ///< that it computes with; of prefill workers it may be a relative's
  std::uint64_t retry_ms = 1000;      ///< until a place of `capacity` is predicted to be free
};

/// A worker whose memory holds the beginning of the prompt: others may fetch it from there.
struct Source {
  NodeId node;
  std::string_view name;
  std::uint32_t held_tokens = 0;
  SourceCosts costs = {};
  double token_bytes = 0;
  std::uint32_t sending = 0;  ///< fetches that it was named for and that are not over: they share its line
  double step_us = 0;         ///< of its steps now: frames leave between them
  /// Until the pages of `tokens` tokens are at `target`.
  [[nodiscard]] double fetch_us(const NodeId& target, double tokens) const;
  /// Bytes that count for that, those of the other fetches included; and the waits between frames.
  [[nodiscard]] double bytes(double tokens) const { return token_bytes * tokens * (1.0 + sending); }
  [[nodiscard]] double waits_us(double tokens) const;
};

/// What can be chosen from.
struct Offer {
  std::span<const Candidate> decode;
  std::span<const Candidate> prefill = {};
  std::uint32_t min_prompt_tokens = 256;  ///< fewer uncached ones are prefilled where they are decoded
  std::span<const Source> sources = {};
  std::uint32_t min_fetch_tokens = 256;  ///< fewer more than the worker holds itself are not fetched
};

/// Why a worker scored what it scored, in microseconds; each policy fills what it weighs.
struct Terms {
  double queue = 0;     ///< until its own prompt's turn
  double prefill = 0;   ///< its uncached tokens
  double transfer = 0;  ///< pages that come from another worker, as far as computing does not hide it
  double decode = 0;    ///< decode rows in the same steps, and waiting for pages
  double others = 0;    ///< what it costs those that are there or come after
  double score = 0;     ///< the least is chosen
  bool able = false;    ///< it has a place
  std::optional<std::size_t> prefill_worker = {};
  std::optional<std::size_t> source = {};  ///< into Offer::sources: fetched from, the rest computed here
  double fetch = 0;                        ///< all of the fetch, with what the queue hides
  /// Predicted time to first token.
  [[nodiscard]] double first_token() const { return queue + prefill + transfer + decode; }
};

struct Decision {
  std::size_t index = 0;                    ///< into Offer::decode
  std::string_view reason;                  ///< of a closed set: it becomes a metric label
  std::optional<std::size_t> prefill = {};  ///< into Offer::prefill; none: the decode worker prefills
  std::optional<std::size_t> source = {};   ///< into Offer::sources; with it, no prefill worker
  std::vector<Terms> terms = {};            ///< of every decode candidate; empty: the policy predicts nothing
};

/// Pure: keeps nothing between calls. Errors: no_ready_worker (no candidates), queue_full with a predicted
/// time to try again, out_of_pages (none can ever hold the request). Threads: any. Cost: O(candidates);
/// called once per request.
class RouterPolicy {
 public:
  virtual ~RouterPolicy() = default;
  [[nodiscard]] virtual Expected<Decision> place(const RequestView& request, const Offer& offer) const = 0;
};

/// A policy that ranks one list: decode workers, and with the same rule prefill workers when enough of the
/// prompt is uncached on the chosen decode worker. It predicts no times: the prompt is fetched from the
/// worker that holds most of it, where that is more than half of what the chosen one lacks.
class RankingPolicy : public RouterPolicy {
 public:
  [[nodiscard]] Expected<Decision> place(const RequestView& request, const Offer& offer) const final;
  [[nodiscard]] virtual Expected<Decision> choose(const RequestView& request,
                                                  std::span<const Candidate> candidates) const = 0;
};

struct PolicyOptions {
  /// Requests that would wait longer for their first token are refused, unless they would take nearly as long
  /// on an idle worker. None: every wait is accepted.
  std::optional<Duration> first_token_slo = {};
};

struct RouterPolicyEntry {
  std::string_view name, summary, source;
  std::unique_ptr<RouterPolicy> (*make)(const PolicyOptions&);
};
/// In the order of builtin.cpp; the first is the default.
[[nodiscard]] const std::vector<RouterPolicyEntry>& builtin_router_policies();
/// Errors: config_invalid naming the known ones.
[[nodiscard]] Expected<std::unique_ptr<RouterPolicy>> make_router_policy(std::string_view name,
                                                                         const PolicyOptions& options = {});

}  // namespace troupe::router
