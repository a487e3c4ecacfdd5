#include "common/grammar/grammar_cache.hpp"

#include <algorithm>

namespace troupe::grammar {

Expected<std::shared_ptr<Automaton>> GrammarCache::find(const Source& source) {
  const auto known =
      std::find_if(kept_.begin(), kept_.end(), [&](const Entry& entry) { return entry.source == source; });
  if (known != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, known);
    return known->automaton;
  }
  auto grammar = compile(source);
  TROUPE_TRY(grammar);
  kept_.push_front({source, std::make_shared<Automaton>(std::move(*grammar), vocabulary_)});
  if (kept_.size() > most_) kept_.pop_back();
  return kept_.front().automaton;
}

}  // namespace troupe::grammar
