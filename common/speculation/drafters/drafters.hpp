#pragma once
// Makers of the drafters, one line each, for builtin.cpp and tests.
#include "common/speculation/drafter.hpp"

namespace troupe::speculation {

[[nodiscard]] std::unique_ptr<Drafter> make_prompt_lookup(const DrafterOptions& options);
[[nodiscard]] std::unique_ptr<Drafter> make_suffix_automaton(const DrafterOptions& options);
[[nodiscard]] std::unique_ptr<Drafter> make_input_copy(const DrafterOptions& options);
[[nodiscard]] std::unique_ptr<Drafter> make_token_recycling(const DrafterOptions& options);
[[nodiscard]] std::unique_ptr<Drafter> make_draft_service(const DrafterOptions& options);
[[nodiscard]] std::unique_ptr<Drafter> make_jump_forward(const DrafterOptions& options);

/// Confidence of what followed an earlier occurrence of the last `length` tokens: longer ones mean more.
[[nodiscard]] constexpr float match_confidence(std::uint32_t length) {
  return static_cast<float>(length) / (static_cast<float>(length) + 1.5F);
}

/// Appends to `draft`, as a chain, what follows `end` in `text`: the text's own end runs on into the draft,
/// so that a repetition goes on repeating. `match`: how many tokens agreed.
void copy_on(std::span<const TokenId> text, std::size_t end, std::uint32_t match, const DraftBudget& budget,
             DraftTree& draft);

}  // namespace troupe::speculation
