#pragma once
// Drafting for all streams of one engine: asks the drafters, chooses what a step verifies, learns from what
// came of it.
//
//   plan(streams) ── propose ──> acceptance so far ──> choose_rows ──> drafts ── the engine's step ──>
//   observe
//
// Proposals that were not verified are scored too, against what was emitted: so a drafter that would help is
// found without spending a row on it, and one that stopped helping is left alone.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/speculation/acceptance.hpp"
#include "common/speculation/choose_rows.hpp"
#include "common/speculation/drafter.hpp"
#include "common/speculation/verify.hpp"

namespace troupe::speculation {

inline constexpr std::string_view kOff = "off", kAuto = "auto";

struct SpeculationOptions {
  std::string drafter =
      std::string(kOff);         ///< of requests that name none: off, auto (all of them compete), or a name
  std::uint32_t most_draft = 8;  ///< most drafted rows of one sequence in a step
  bool always = false;           ///< verify whatever is proposed, at any cost: for tests and measurements
  std::uint32_t store_tokens = 1u << 16;                         ///< DrafterOptions::store_tokens
  const std::vector<DrafterEntry>* table = &builtin_drafters();  ///< to choose from
  std::shared_ptr<DraftSource> source = nullptr;                 ///< DrafterOptions::source
};

/// Whether a request, or the option, may say so; empty may. Errors: invalid_argument naming the known ones.
[[nodiscard]] Expected<void> check_drafter(std::string_view name,
                                           const std::vector<DrafterEntry>& table = builtin_drafters());

/// What became of one drafter's rows.
struct DraftCounters {
  static constexpr std::size_t kPositions = 16;
  std::uint64_t steps = 0;     ///< sequence steps with a draft
  std::uint64_t proposed = 0;  ///< drafted rows that were computed
  std::uint64_t accepted = 0;  ///< of them, those whose token was emitted; the others were computed in vain
  std::array<std::uint64_t, kPositions>
      proposed_at{};  ///< by depth, the last one and deeper; one a depth and step
  std::array<std::uint64_t, kPositions> accepted_at{};
};

/// One decoding sequence.
struct Stream {
  DraftContext context;
  std::string_view drafter;     ///< of its request; empty: the engine's
  std::uint32_t most_rows = 0;  ///< that still make sense for it: its length, its pages
};

/// Threads: one owner.
class Speculator {
 public:
  Speculator(const SpeculationOptions& options, const DrafterOptions& drafters);

  /// Drafts are wanted for this sequence at all. `expected`: of its DraftContext.
  [[nodiscard]] bool drafts_for(std::string_view request_drafter, std::span<const TokenId> expected = {}) const;
  /// A draft for each of `streams`, empty where none pays; at most `most_rows` nodes in all. `seconds`: of
  /// the step; none while too little is known, then nothing is drafted.
  [[nodiscard]] std::vector<DraftTree> plan(std::span<const Stream> streams, const StepSeconds& seconds,
                                            std::uint32_t most_rows);
  /// Best logits that rows of this sequence's draft must leave; 0: none.
  [[nodiscard]] std::uint32_t rows_wanted(SequenceNumber sequence) const;
  /// After the step. `context` ends with the tokens it emitted; `verified`: what was drafted for it; null:
  /// nothing.
  void observe(const DraftContext& context, const Observation& observation, const Verification* verified);
  void fork(SequenceNumber from, SequenceNumber to);
  void forget(SequenceNumber sequence);

  [[nodiscard]] std::span<const DraftCounters> counters() const { return counters_; }  ///< by the table

 private:
  struct Asked {
    std::size_t drafter;
    DraftTree draft;
    bool verified = false;
  };
  struct State {
    std::map<std::size_t, Acceptance> acceptance;  ///< by drafter
    std::vector<Asked> asked;                      ///< of the step under way
  };

  [[nodiscard]] Drafter& drafter(std::size_t index);
  [[nodiscard]] std::vector<std::size_t> candidates(const Stream& stream) const;
  void ask(const Stream& stream, State& state);
  [[nodiscard]] std::vector<double> probabilities(const State& state, const Asked& asked) const;
  void score(State& state, const Asked& asked, std::span<const TokenId> emitted);
  void count(const Asked& asked, const Verification& verified);

  const SpeculationOptions options_;
  const std::vector<DrafterEntry>& table_;
  const DrafterOptions drafter_options_;
  std::vector<std::unique_ptr<Drafter>> drafters_;  ///< by the table; made when first asked
  std::vector<Acceptance> overall_;                 ///< by drafter, of all sequences
  std::vector<DraftCounters> counters_;
  std::map<SequenceNumber, State> states_;
  bool bypassed_ = true;  ///< in the step under way nothing could pay
};

}  // namespace troupe::speculation
