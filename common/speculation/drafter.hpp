#pragma once
// Guesses what comes next, so that the target verifies several tokens in one step. A new drafter: one source,
// one test, one line in builtin.cpp, one in CMake.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/speculation/draft.hpp"
#include "common/speculation/draft_source.hpp"
#include "common/speculation/techniques.hpp"

namespace troupe::speculation {

/// What a drafter may look at. Spans are valid during the call.
struct DraftContext {
  SequenceNumber sequence;
  std::string_view tenant;          ///< nothing learnt from one tenant may reach another
  std::span<const TokenId> tokens;  ///< verified: prompt, then answer; the last one is the root of the draft
  std::uint32_t prompt = 0;         ///< how many of them are the prompt
  std::span<const TokenId> expected = {};  ///< of an answer of a given form: the tokens that it leads to
  std::span<const TokenId> reference = {};  ///< what the client thinks the answer to be; the same in every call
};

struct DraftBudget {
  std::uint32_t nodes = 0;
  std::uint32_t depth = 0;  ///< tokens after the root
};

inline constexpr std::size_t kMostBest = 8;  ///< best logits of a row that drafters are shown

/// A row of the last step: which token stood there, and what the target ranked highest after it.
struct RankedRow {
  TokenId token = 0;
  std::uint32_t count = 0;                ///< of `best`
  std::array<TokenId, kMostBest> best{};  ///< best first
};

/// What became of a step.
struct Observation {
  std::uint32_t emitted = 0;  ///< tokens at the end of DraftContext::tokens that this step made
  std::span<const RankedRow>
      rows;               ///< all computed rows, accepted ones last; empty unless the entry wants them
  bool finished = false;  ///< the sequence is over
};

/// Threads: one owner. Cost: propose() and observe() are called once a step and sequence and should take
/// microseconds. State of a sequence is made when it is first seen, from its tokens alone: a sequence that
/// moved here, or was forgotten, is drafted for as if it had always been here.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// At most `budget`; empty when there is nothing to say. What is wrong with it costs speed, never
  /// correctness.
  [[nodiscard]] virtual DraftTree propose(const DraftContext& context, const DraftBudget& budget) = 0;
  /// After every step of a sequence that may be drafted for, whoever drafted. `context` holds what was
  /// emitted.
  virtual void observe(const DraftContext& context, const Observation& observation) = 0;
  /// `to` has the tokens of `from`.
  virtual void fork(SequenceNumber from, SequenceNumber to) = 0;
  /// The sequence is over or gives way; it may come back.
  virtual void forget(SequenceNumber sequence) = 0;
};

struct DrafterOptions {
  std::uint32_t vocab = 0;
  std::uint32_t store_tokens =
      1u << 16;                    ///< of finished answers that a shared store keeps for a tenant; 0: none
  std::uint32_t most_tenants = 8;  ///< with a store of their own; more replace those used longest ago
  std::vector<TokenId> separators = {};  ///< control tokens of chat templates, never copied from a prompt
  std::shared_ptr<DraftSource> source = nullptr;  ///< of `draft-service`; shared with whoever answers; null: none
};

struct DrafterEntry {
  std::string_view name;
  std::string_view summary;
  std::string_view source;  ///< author, year, arXiv id
  TechniqueClass effect = TechniqueClass::exact;
  std::string_view needs;
  std::string_view cost;    ///< of memory and time
  bool wants_rows = false;  ///< Observation::rows
  std::unique_ptr<Drafter> (*make)(const DrafterOptions&) = nullptr;
  bool wants_source = false;  ///< DrafterOptions::source; without one it has nothing to say
  bool of_forms = false;  ///< drafts wherever there is DraftContext::expected, also where requests say off
};

/// builtin.cpp: one line each. The order breaks ties.
[[nodiscard]] const std::vector<DrafterEntry>& builtin_drafters();

}  // namespace troupe::speculation
