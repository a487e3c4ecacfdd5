#pragma once
// One model on one backend: KV pages, continuous batching with chunked prefill, sampling. Prefill and decode services are
// thin shells around this class. It keeps no thread and no clock of its own: its owner calls step() while has_work().
//
// Same bits: the tokens of a sequence depend on its prompt, parameters and seed only, never on what else is in the batch,
// on chunk sizes, on cached or imported pages (README, "Same bits").
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/base/ids.hpp"
#include "common/base/pooling.hpp"
#include "common/backend/backend.hpp"
#include "common/engine/schedule/policy.hpp"
#include "common/engine/schedule/tenant_counters.hpp"
#include "common/grammar/automaton.hpp"
#include "common/kv/block_key.hpp"
#include "common/kv/disk/disk_tier.hpp"
#include "common/kv/page_format.hpp"
#include "common/model/model.hpp"
#include "common/prefix_index/tier.hpp"
#include "common/sampling/params.hpp"
#include "common/sampling/superposed/ngram_table.hpp"
#include "common/speculation/speculator.hpp"

namespace troupe::engine {

struct EngineOptions {
  std::uint32_t token_budget = 512;   ///< rows that prompts fill a step up to, streams' rows counted
  std::uint32_t chunk = 512;          ///< most prefill rows of one sequence in a step
  SchedulePolicy schedule = SchedulePolicy::hybrid;
  Duration itl_slo{0};                ///< > 0: the budget is chosen so that a step takes no longer, token_budget at most
  std::uint32_t max_sequences = 64;   ///< running at once; more wait in the queue
  std::uint32_t queue = 256;          ///< waiting requests; more are refused with queue_full
  std::uint64_t kv_bytes = 0;         ///< of the page pool; must be > 0
  PreemptionPolicy preemption = PreemptionPolicy::automatic;
  std::uint64_t swap_bytes = 0;       ///< host memory for pages of preempted sequences; taken as needed
  bool prefix_cache = true;
  TenantWeights tenant_weights;       ///< shares of tenants that compete; 1 for those not named
  std::uint32_t most_overtakes = 256; ///< admissions of later requests that a waiting one bears, whatever the priorities
  kv::disk::TierOptions disk;         ///< pages below the pool; needs prefix_cache. What fails there is logged and counted
  bool hydragen = true;               ///< attend to pages that sequences share once a step for all of them; same bits
  speculation::SpeculationOptions speculation;  ///< same bits too
  std::shared_ptr<const NgramTable> ngrams;     ///< of a text, beside each prompt's own, for superposed answers; null: none
};

/// What to run. With choices > 1 the prompt is computed once and forked.
struct Request {
  RequestId id;
  Epoch epoch;
  std::string tenant = "default";
  std::int32_t priority = 0;              ///< higher goes first: admission, prompt rows, pages
  std::vector<TokenId> prompt;            ///< prompt, then tokens already emitted when a stream is resumed
  std::uint32_t resumed_tokens = 0;       ///< how many of `prompt` are emitted tokens (they count for penalties and max_tokens)
  std::uint32_t first_choice = 0;         ///< choices are first_choice .. first_choice + choices - 1
  std::uint32_t choices = 1;
  std::uint32_t max_tokens = 1;           ///< answer length per choice, resumed tokens included
  std::vector<TokenId> stop_tokens;       ///< generation ends when one is drawn; it is reported, then finish `stop`
  SamplingParams sampling;
  bool prompt_logprobs = false;           ///< report log-probabilities of the prompt's own tokens (echo)
  std::optional<TimePoint> deadline;
  std::optional<TimePoint> arrived = {};  ///< when its caller got it, if before submit(): it queues from then on
  /// Its imported pages are made from those of this model id, which computes with other numbers: they are not what this
  /// engine would compute, so they and whatever follows them have keys of their own. Zero: pages are this engine's.
  ModelId pages_of = {};
  std::string drafter;                    ///< off, auto or a name of speculation/builtin.cpp; empty: the engine's option
  bool traced = false;                    ///< StageNews is wanted
  /// What the answer must look like; null: nothing is asked. It may end where the grammar lets it, by a stop token that has no
  /// text, and ends of itself where nothing else may follow. Used by step() from then on: it belongs to the engine's thread.
  std::shared_ptr<grammar::Automaton> grammar = {};
  /// width > 0: the choices are the best hypotheses of a beam search, first_choice counted from the best. They come whole, in the
  /// step that ends the search. Goes with temperature 0 and without penalties, biases, grammar and resumed tokens; drafters rest.
  BeamParams beam = {};
  /// drafts > 0: the choices are the best of as many short answers that share one row a step, first_choice counted from the best.
  /// They come whole at the end. Lossy. Goes with what beams go with, kMostSuperposedTokens at most, and without log-probabilities.
  SuperposedParams superposed = {};
  TokenRules rules = {};
  std::vector<TokenId> reference = {};    ///< what the answer is thought to be; drafters may copy it, no answer depends on it
  /// Not none: the answer is a vector and no token is drawn; max_tokens is 0. It comes when the prompt is computed. Goes with
  /// one choice and without grammar, beams and resumed tokens.
  Pooling pooling = Pooling::none;
  /// Of a prompt that is computed for somebody else, and whole: its first token is drawn here, as the stream would have
  /// drawn it, and told by an event of that token alone.
  bool draw_first = false;
};

/// When a choice passed its stages here. Pages that come from elsewhere count as admitted when room was reserved for them.
struct StageTimes {
  TimePoint queued{}, admitted{}, first_token{}, last_token{};
};

/// What a traced choice went through, and how it gave way to others since its last news.
struct StageNews {
  struct Absence {
    TimePoint from{}, to{};  ///< preempted, admitted again
    bool swapped = false;    ///< its pages were kept in host memory
  };
  static constexpr std::size_t kMostAbsences = 16;  ///< between two news; later ones are left out
  /// So far. Of a prefill-only prompt first_token is when its first layer's pages were ready, last_token when the last one's were.
  StageTimes times;
  std::uint32_t prompt_steps = 0;  ///< that computed rows of its prompt: the chunks
  std::vector<Absence> absences;
};

/// Tokens of one choice made in one step, in order.
struct TokenEvent {
  RequestId id;
  Epoch epoch;
  std::uint32_t choice = 0;
  std::uint32_t first_index = 0;          ///< index of tokens[0] in the answer, resumed tokens included
  std::vector<GeneratedToken> tokens;
  FinishReason finish = FinishReason::none;
  std::optional<Error> error;             ///< with finish == error
  std::uint32_t cached_tokens = 0;        ///< prompt tokens not computed here; exact from the first event on
  std::vector<GeneratedToken> prompt_tokens;  ///< in the first event when prompt_logprobs was asked
  std::optional<StageTimes> times = {};   ///< of a choice that came to its end
  std::uint32_t drafted_tokens = 0;       ///< rows this step computed for guesses
  std::uint32_t accepted_tokens = 0;      ///< of them, those that are in `tokens`
  std::optional<double> score = {};       ///< of a hypothesis of a beam search, or of a superposed draft
  std::shared_ptr<const StageNews> news = {};  ///< of a traced choice, with its first token and after it gave way; shared: events are copied
  std::vector<float> vector = {};         ///< [D] of length 1, of a request that pools; finish is `stop`
};

/// A block became servable, or stopped being so. Feeds the router's index.
struct KvEvent {
  BlockKey key;
  bool stored = true;
  std::optional<BlockOrigin> origin = {};  ///< of a stored one, where the engine knows it
  Tier tier = Tier::memory;
};

/// Prompt pages of a prefill-only request, layer by layer while it computes.
struct PrefillProgress {
  RequestId id;
  std::uint32_t layer = 0;
  std::uint32_t first_page = 0;           ///< index within the sequence
  std::vector<std::uint32_t> pages;       ///< physical pages, pinned until release_prefill(id)
  std::uint32_t tokens = 0;               ///< prompt tokens this layer now covers
};

/// Pages with the KV of a prompt's leading blocks.
struct HeldBlocks {
  std::vector<std::uint32_t> pages;       ///< physical, in order
  std::uint32_t tokens = 0;               ///< covered, whole blocks; later slots of the last page are rubbish
};

struct StepOutput {
  std::vector<TokenEvent> tokens;
  std::vector<KvEvent> kv;
  std::vector<RequestId> prefilled;       ///< prefill-only requests whose pages are all computed
  std::vector<std::pair<RequestId, std::shared_ptr<const StageNews>>> prefill_news;  ///< of the traced ones among them
  std::uint32_t rows = 0;                 ///< computed in this step
  std::uint32_t budget = 0;               ///< what the scheduler let it have
  std::uint32_t pages_moved = 0;          ///< between the pool and the disk tier
};

/// Steps by how many rows they computed.
struct StepRows {
  static constexpr std::array<std::uint32_t, 13> kBounds{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
  std::array<std::uint64_t, kBounds.size() + 1> steps{};  ///< the i-th: at most kBounds[i] rows, more than the bound before
  std::uint64_t rows = 0;                                 ///< of all steps
  void add(std::uint32_t step_rows) {
    ++steps[static_cast<std::size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), step_rows) - kBounds.begin())];
    rows += step_rows;
  }
};

struct EngineStats {
  std::uint32_t running = 0, waiting = 0;
  std::uint32_t pages_total = 0, pages_free = 0, pages_cached = 0, pages_reserved = 0;
  std::uint32_t queued_prompt_tokens = 0;  ///< of requests here, not computed yet
  std::uint64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0, steps = 0, preemptions = 0;
  std::uint64_t beam_searches = 0;    ///< that came to their end
  std::uint64_t beam_restarts = 0;    ///< of searches that gave way
  std::uint64_t superposed_requests = 0;  ///< whose drafts came to their end
  std::uint64_t superposed_restarts = 0;  ///< of those that gave way
  std::uint64_t blended_rows = 0;         ///< rows that superposed drafts shared
  std::uint64_t swaps = 0;            ///< preemptions that kept their pages in host memory
  std::uint64_t swapped_bytes = 0;    ///< held there now
  kv::disk::TierStats disk;
  StepRows step_rows;
  std::uint64_t stream_rows = 0;      ///< of these, of streams past their prompts
  std::uint64_t step_context = 0;     ///< tokens that rows attended to, summed over the rows of all steps
  Duration busy{};                    ///< of its thread with steps and what comes with them; the thread's owner says it
  std::vector<speculation::DraftCounters> drafts;  ///< by builtin_drafters()
};

class Engine {
 public:
  /// Loads weights into the backend and makes the page pool. `on_load` gets 0..1 as tensors are packed.
  /// Errors: does_not_fit (says both numbers), file_*.
  [[nodiscard]] static Expected<std::unique_ptr<Engine>> create(std::shared_ptr<const Model> model,
                                                                std::shared_ptr<backend::Backend> backend,
                                                                const EngineOptions& options, const Clock& clock,
                                                                std::function<void(double)> on_load = {});
  virtual ~Engine() = default;

  [[nodiscard]] virtual const Model& model() const = 0;
  [[nodiscard]] virtual ModelId model_id() const = 0;  ///< weights + numerics id
  [[nodiscard]] virtual std::uint32_t context_length() const = 0;
  [[nodiscard]] virtual std::size_t layer_page_bytes() const = 0;
  [[nodiscard]] virtual PageFormat page_format() const = 0;  ///< of what is exported and imported
  [[nodiscard]] virtual std::uint32_t layers() const = 0;

  /// Queues a request. Errors: queue_full, context_length_exceeded, out_of_pages (can never fit), invalid_argument.
  [[nodiscard]] virtual Expected<void> submit(Request request) = 0;
  /// Queues prefill of the first `tokens` prompt tokens only, of all of them with draw_first; pages stay pinned until
  /// release_prefill.
  /// `progress` runs inside step(), after each layer of each chunk. Returning false asks to be called again later for the
  /// same data before this sequence goes on (back-pressure); data is never lost.
  [[nodiscard]] virtual Expected<void> submit_prefill(Request request, std::uint32_t tokens,
                                                      std::function<bool(const PrefillProgress&)> progress) = 0;
  virtual void release_prefill(const RequestId& id) = 0;

  /// Decode side of a transfer: reserves pages for prompt tokens [0, tokens), fills them by import_page, then commit_import
  /// makes the request runnable; it computes what was not imported. Returns how many leading tokens (whole pages) are cached
  /// here and need no transfer. Errors: out_of_pages, queue_full.
  [[nodiscard]] virtual Expected<std::uint32_t> reserve_import(Request request, std::uint32_t tokens) = 0;
  [[nodiscard]] virtual Expected<void> import_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                                   std::span<const std::byte> bytes) = 0;
  /// What an import holds of a page so far, for those who fill it part by part. Errors: transfer_failed.
  [[nodiscard]] virtual Expected<void> imported_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                                     std::span<std::byte> to) const = 0;
  /// Takes the first `tokens` of them, at most as many as were reserved; the rest is computed. Errors: transfer_failed when a
  /// page of a layer is missing.
  [[nodiscard]] virtual Expected<void> commit_import(const RequestId& id, std::uint32_t tokens) = 0;
  /// Before it is committed: the answer's next token was drawn elsewhere, and told; the stream goes on behind it. Errors:
  /// transfer_failed (no such import), invalid_argument (the answer would be over, or is not of one plain choice).
  [[nodiscard]] virtual Expected<void> import_answer(const RequestId& id, TokenId token) = 0;
  [[nodiscard]] virtual std::uint32_t cached_tokens_for(std::string_view tenant, std::span<const TokenId> prompt) const = 0;
  /// Bytes of one layer of one physical page.
  virtual void export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const = 0;
  /// Keeps what is held of `keys`, from the first one on, in place until release_blocks(id): of finished prompts and of
  /// streams that go on. One hold per id. Cost: O(keys).
  [[nodiscard]] virtual HeldBlocks hold_blocks(const RequestId& id, std::span<const BlockKey> keys) = 0;
  virtual void release_blocks(const RequestId& id) = 0;

  /// Ends a request at the next layer boundary and frees its pages; no event follows. Unknown ids are ignored.
  virtual void cancel(const RequestId& id) = 0;

  /// For the one thread that will call step() for long (Backend::hold_thread). May be null.
  [[nodiscard]] virtual std::unique_ptr<backend::ThreadHold> hold_thread() { return nullptr; }
  [[nodiscard]] virtual bool has_work() const = 0;
  /// One hybrid batch: decode rows first, then prefill chunks up to the budget. `cancelled` is asked between layers.
  virtual StepOutput step(const std::function<bool()>& interrupted = {}) = 0;
  /// Bumped once per layer, and per page from disk: liveness as others see it. Threads: any.
  [[nodiscard]] virtual std::uint64_t progress() const = 0;
  [[nodiscard]] virtual EngineStats stats() const = 0;
  /// Every block servable now, for a router that asks for a snapshot.
  [[nodiscard]] virtual std::vector<BlockKey> cached_blocks() const = 0;
  /// Those of the disk tier.
  [[nodiscard]] virtual std::vector<BlockKey> disk_blocks() const { return {}; }
  /// `wake` runs on a thread of the engine's own when a step that could not move can, without a new call. It must not call
  /// back. An earlier one runs no more when this returns. Threads: any.
  virtual void on_ready(std::function<void()> wake) { (void)wake; }
};

}  // namespace troupe::engine
