#pragma once
// The seam between the HTTP edge and the cluster: the edge hands over token ids and gets token ids back. Text, templates and
// stop strings stay on the edge; placement, replay after a failure and epochs stay behind this interface.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/base/pooling.hpp"
#include "common/grammar/source.hpp"
#include "common/sampling/params.hpp"

namespace troupe::gateway {

class RequestTrace;

struct GenerateJob {
  RequestId id;
  std::string model;              ///< as listed by models()
  std::string tenant = "default";
  std::vector<TokenId> prompt;
  std::uint32_t choices = 1;
  std::uint32_t max_tokens = 1;   ///< per choice
  std::vector<TokenId> stop_tokens;
  SamplingParams sampling;
  bool prompt_logprobs = false;
  std::optional<TimePoint> deadline;
  std::int32_t priority = 0;      ///< higher goes first
  RequestId share = {};           ///< jobs of one `share` are computed once (shared_dispatcher.hpp); zero: by itself
  std::uint64_t session = 0;      ///< placed together where that costs nothing; 0: none
  std::string drafter = {};       ///< off, auto or a name; empty: the worker's option
  grammar::Source grammar = {};   ///< what the answer must look like
  BeamParams beam = {};           ///< width > 0: the choices are the best hypotheses of a beam search, with scores
  SuperposedParams superposed = {};  ///< drafts > 0: the choices are the best of as many superposed drafts, with scores
  TokenRules rules = {};
  std::vector<TokenId> reference = {};  ///< what the answer is thought to be, for drafters
  std::shared_ptr<const RequestTrace> trace = {};  ///< null: nobody records it. Of a shared job its first listener's
  Pooling pooling = Pooling::none;  ///< not none: a vector is wanted, and no token. One choice, which nobody shares
  /// Choices come whole at its end, and it starts anew where it is lost: nobody goes on from a part.
  [[nodiscard]] bool searches() const { return beam.width > 0 || superposed.drafts > 0; }
};

/// Guesses at a request's tokens (speculation): how many were computed, and how many came true.
struct DraftUsage {
  std::uint64_t drafted = 0;
  std::uint64_t accepted = 0;
};

struct AnswerStart {
  std::uint32_t cached_tokens = 0;  ///< prompt tokens served from a cache
  std::vector<GeneratedToken> prompt_logprobs = {};
  bool converted_pages = false;     ///< the prompt's pages were made of another worker's numbers: lossy
};

/// Where the answer goes. Calls for one request come one at a time, in order, from a thread of the dispatcher; they must not
/// block. After on_done or on_error nothing follows.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  /// Comes once, before the first token.
  virtual void on_start(AnswerStart start) = 0;
  /// Tokens of `choice`, in order, without gaps or repeats. A stop token is delivered, then finish is `stop`.
  virtual void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) = 0;
  /// Of the tokens of `choice` that come next, as many were guesses that came true. Depends on the schedule.
  virtual void on_drafted(std::uint32_t choice, std::uint32_t count) { (void)choice, (void)count; }
  /// Of a hypothesis of a beam search or a superposed draft, before its tokens; perhaps again, with the same value.
  virtual void on_score(std::uint32_t choice, double score) = 0;
  /// The vector of a job that pools, of length 1; on_start comes before it, on_done follows at once.
  virtual void on_vector(std::vector<float> vector) { (void)vector; }
  /// All choices have finished.
  virtual void on_done(const DraftUsage& drafts = {}) = 0;
  virtual void on_error(const Error& error) = 0;
};

struct ServedModel {
  std::string name;               ///< what clients send as `model`
  ModelId id;
  std::uint32_t context_length = 0;
  std::uint32_t ready_workers = 0;
  std::string numerics = {};      ///< names every choice that changes a sum (backend.hpp)
  /// Whether its KV pages are compressed with loss, so that answers differ from those of exact pages.
  [[nodiscard]] bool lossy_pages() const { return numerics.ends_with("-kvi8"); }
};

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  /// Never blocks. Errors at once: queue_full, draining, model_not_found; later ones through the sink. Threads: any.
  [[nodiscard]] virtual Expected<void> start(GenerateJob job, std::shared_ptr<AnswerSink> sink) = 0;
  /// Stops a request everywhere; the sink is not called afterwards. Unknown ids are ignored. Threads: any.
  virtual void cancel(const RequestId& id) = 0;
  /// Models with at least one ready worker. Threads: any; a copy of the last known table.
  [[nodiscard]] virtual std::vector<ServedModel> models() const = 0;
  /// Requests running now. Threads: any.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
};

}  // namespace troupe::gateway
