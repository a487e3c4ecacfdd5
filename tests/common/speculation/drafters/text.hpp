#pragma once
// Texts for drafters: words as tokens.
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {

/// Each different word is a token, numbered as they come over the whole test program.
inline std::vector<TokenId> words(const std::string& text) {
  static std::map<std::string, TokenId> numbers;
  std::vector<TokenId> out;
  std::istringstream in(text);
  for (std::string word; in >> word;)
    out.push_back(numbers.try_emplace(word, static_cast<TokenId>(numbers.size())).first->second);
  return out;
}

inline std::vector<TokenId> tokens_of(const DraftTree& draft) {
  std::vector<TokenId> out;
  for (const DraftNode& node : draft.nodes) out.push_back(node.token);
  return out;
}

/// One stream that is drafted for.
struct Reader {
  explicit Reader(Drafter& drafter, const std::string& prompt, std::uint64_t number = 1,
                  std::string name = "tenant")
      : of(drafter),
        sequence{number},
        tenant(std::move(name)),
        text(words(prompt)),
        prompt_tokens(static_cast<std::uint32_t>(text.size())) {}
  DraftContext context() const { return {sequence, tenant, text, prompt_tokens}; }
  DraftTree guess(const std::string& answer, std::uint32_t most = 4) {
    say(answer);
    return of.propose(context(), {most, most});
  }
  void say(const std::string& answer) {
    for (const TokenId token : words(answer)) text.push_back(token);
  }
  void finish(std::uint32_t emitted) { of.observe(context(), {emitted, {}, true}); }

  Drafter& of;
  SequenceNumber sequence;
  std::string tenant;
  std::vector<TokenId> text;
  std::uint32_t prompt_tokens;
};

}  // namespace troupe::speculation
