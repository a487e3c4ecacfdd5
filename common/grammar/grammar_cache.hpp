#pragma once
// The last grammars over one vocabulary, compiled: clients send the same schema again and again.
#include <cstddef>
#include <list>
#include <memory>

#include "common/grammar/automaton.hpp"

namespace troupe::grammar {

/// Keeps the `most` sources that were asked for last. Threads: one at a time; what it gives out is its
/// user's, who may hold it longer.
class GrammarCache {
 public:
  explicit GrammarCache(std::shared_ptr<const TokenTrie> vocabulary, std::size_t most = 32)
      : vocabulary_(std::move(vocabulary)), most_(most) {}
  /// Errors: as compile(). Cost: a comparison per kept source, or compile().
  [[nodiscard]] Expected<std::shared_ptr<Automaton>> find(const Source& source);
  [[nodiscard]] std::size_t size() const { return kept_.size(); }

 private:
  struct Entry {
    Source source;
    std::shared_ptr<Automaton> automaton;
  };
  const std::shared_ptr<const TokenTrie> vocabulary_;
  const std::size_t most_;
  std::list<Entry> kept_;  ///< the latest first
};

}  // namespace troupe::grammar
