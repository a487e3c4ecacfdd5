#pragma once
// One stream of tokens inside an engine, or one prompt that is computed for somebody else.
#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/engine/hidden_pool.hpp"
#include "common/engine/schedule/admission.hpp"
#include "common/engine/schedule/preemption.hpp"
#include "common/grammar/matcher.hpp"
#include "common/kv/sequence_pages.hpp"
#include "common/sampling/beam_search.hpp"
#include "common/sampling/sampler.hpp"
#include "common/sampling/superposed/superposed_search.hpp"
#include "common/speculation/speculator.hpp"

namespace troupe::engine {

/// Reports finished pages of a prefill-only prompt, layer by layer, and keeps what the receiver would not take yet.
class PrefillFeed {
 public:
  using Callback = std::function<bool(const PrefillProgress&)>;
  PrefillFeed(RequestId id, std::uint32_t layers, std::uint32_t target, Callback callback)
      : id_(id), target_(target), callback_(std::move(callback)), reported_(layers, 0) {}

  /// Layer `layer` now covers `tokens` of the prompt; whole pages, and the last one once the prompt is covered, are offered.
  void covered(std::uint32_t layer, std::uint32_t tokens, const std::vector<std::uint32_t>& pages) {
    const std::uint32_t ready = tokens >= target_ ? (target_ + kPageTokens - 1) / kPageTokens : tokens / kPageTokens;
    std::uint32_t& reported = reported_[layer];
    if (ready <= reported) return;
    pending_.push_back({id_, layer, reported, {pages.begin() + reported, pages.begin() + ready}, std::min(tokens, target_)});
    reported = ready;
    flush();
  }
  /// true: nothing waits any more.
  bool flush() {
    while (!pending_.empty() && callback_(pending_.front())) pending_.pop_front();
    return pending_.empty();
  }
  [[nodiscard]] bool waiting() const { return !pending_.empty(); }

 private:
  RequestId id_;
  std::uint32_t target_;
  Callback callback_;
  std::vector<std::uint32_t> reported_;  // [L] pages offered
  std::deque<PrefillProgress> pending_;
};

/// What arrived of a transferred prompt.
struct ImportState {
  std::uint32_t tokens = 0;            ///< to be imported, adopted pages included
  std::uint32_t first_page = 0;        ///< earlier ones were cached here
  std::vector<std::vector<bool>> got;  ///< [L][page - first_page]
};

/// Pages of a preempted sequence in host memory.
struct SwappedPages {
  SwapStore::Buffer buffer;  ///< [L][page] as exported
  std::uint32_t tokens = 0;  ///< computed in them
};

/// Makes drafters forget a sequence when it ends or gives way.
class DraftSeat {
 public:
  DraftSeat(speculation::Speculator& speculator, speculation::SequenceNumber number) : speculator_(speculator), number_(number) {}
  DraftSeat(const DraftSeat&) = delete;
  DraftSeat& operator=(const DraftSeat&) = delete;
  ~DraftSeat() { speculator_.forget(number_); }

 private:
  speculation::Speculator& speculator_;
  speculation::SequenceNumber number_;
};

/// A sequence's draft in the step under way.
struct Drafted {
  speculation::Verification verification;
  std::uint32_t begin = 0;  ///< logical index of the root
};

/// A beam search under way. Each beam is a sequence that computes its row as any other and then waits for the rest of them.
struct BeamGroup {
  explicit BeamGroup(BeamSearch of) : search(std::move(of)), candidates(search.rows()), computed(search.rows(), false) {}
  [[nodiscard]] bool ready() const { return std::find(computed.begin(), computed.end(), false) == computed.end(); }

  BeamSearch search;
  std::vector<std::vector<BeamCandidate>> candidates;  ///< [row] of this step
  std::vector<bool> computed;                          ///< [row]
  std::vector<GeneratedToken> prompt_report;
};

struct Sequence {
  std::shared_ptr<const Request> request;
  std::uint32_t choice = 0;
  std::uint32_t forks = 0;                 ///< further choices to fork once the prompt is computed
  std::vector<TokenId> tokens;             ///< prompt, then everything emitted
  std::uint32_t emitted = 0;               ///< of the answer, resumed tokens included
  std::uint32_t target = 0;                ///< prefill-only: tokens to compute; else 0
  Standing standing;                       ///< its tenant's counter aside
  StageTimes times;                        ///< so far
  std::unique_ptr<StageNews> news;         ///< of a traced one: since it was told
  bool news_due = true;
  std::uint64_t served = 0;                ///< the step that last gave it rows
  bool started = false;                    ///< it had its first admission: cached_tokens is set
  bool reported = false;                   ///< its first event is out
  std::uint32_t cached_tokens = 0;
  std::optional<SequencePages> pages;      ///< empty while it waits
  std::optional<SwappedPages> swapped;     ///< only while it waits
  std::optional<TokenHistory> history;
  std::optional<grammar::Matcher> matcher; ///< of a request with a grammar: where the answer stands
  std::vector<TokenId> expected;           ///< of the step under way: what the matcher expects
  std::unique_ptr<PrefillFeed> feed;       ///< prefill-only
  bool prefilled = false;                  ///< prefill-only and reported; pages stay pinned
  std::unique_ptr<ImportState> import;     ///< while pages are expected
  std::vector<GeneratedToken> prompt_report;
  speculation::SequenceNumber number;      ///< for drafters
  std::unique_ptr<DraftSeat> seat;         ///< while drafters know it
  std::optional<Drafted> draft;            ///< of the step under way
  std::vector<speculation::RankedRow> ranked;  ///< of the step under way, for drafters that want it; [row]
  std::size_t event = 0;                   ///< of the step under way, into StepOutput::tokens
  std::shared_ptr<BeamGroup> beams;        ///< of a beam search; shared by its beams, which all run or are folded to one that waits
  std::uint32_t row = 0;                   ///< among them
  std::unique_ptr<SuperposedSearch> superposed;  ///< its rows behind the prompt are those of all drafts
  std::optional<HiddenPool> pool;          ///< of a request that wants a vector

  [[nodiscard]] bool prefill_only() const { return feed != nullptr; }
  /// Its last prompt token's logits are wanted.
  [[nodiscard]] bool draws() const { return !prefill_only() || request->draw_first; }
  [[nodiscard]] std::uint32_t wanted() const { return prefill_only() ? target : static_cast<std::uint32_t>(tokens.size()); }
  [[nodiscard]] std::uint32_t remaining() const { return wanted() - (pages ? pages->length() : 0); }
  /// Its prompt is computed and one token a step follows.
  [[nodiscard]] bool decoding() const { return !prefill_only() && remaining() == 1 && tokens.size() > request->prompt.size(); }
};

/// Pages being read from disk, and the sequences that wait for them before they are queued.
struct Fetch {
  explicit Fetch(SequencePages held) : pages(std::move(held)) {}
  SequencePages pages;            ///< cached prefix, what has come, and room for the rest
  std::vector<TokenId> tokens;    ///< up to the last page's end
  std::vector<BlockKey> names;    ///< of the pages that are read
  std::uint64_t ticket = 0;
  TimePoint deadline{};
  bool failed = false;
  std::vector<std::unique_ptr<Sequence>> waiting;  ///< the first one began it

  [[nodiscard]] bool complete() const { return pages.length() == tokens.size(); }
};

}  // namespace troupe::engine
