#pragma once
// A source of drafts that a test answers by hand, or that counts on by itself.
#include <map>
#include <utility>
#include <vector>

#include "common/speculation/draft_source.hpp"

namespace troupe::speculation {

class ScriptSource : public DraftSource {
 public:
  [[nodiscard]] bool order(DraftOrder order) override {
    if (!open) return false;
    orders.push_back(std::move(order));
    return true;
  }
  [[nodiscard]] std::optional<DraftAnswer> take(SequenceNumber sequence) override {
    auto found = answers.extract(sequence);
    return found ? std::optional(std::move(found.mapped())) : std::nullopt;
  }
  void forget(SequenceNumber sequence) override { forgotten.push_back(sequence); }

  /// Answers the last order with these guesses.
  void draft(std::vector<TokenId> tokens) {
    const DraftOrder& last = orders.back();
    DraftAnswer answer;
    answer.round = last.round;
    answer.position = last.held + static_cast<std::uint32_t>(last.tokens.size());
    for (const TokenId token : tokens) answer.guesses.push_back({token, 0.9F, -1, 0});
    answers[last.sequence] = std::move(answer);
  }
  void say(DraftAnswer::Kind kind) { answers[orders.back().sequence] = {orders.back().round, kind, 0, {}}; }

  bool open = true;
  std::vector<DraftOrder> orders;
  std::map<SequenceNumber, DraftAnswer> answers;
  std::vector<SequenceNumber> forgotten;
};

/// Answers at once: each token is one more than the token before it, modulo `vocab`.
class CountingSource final : public ScriptSource {
 public:
  explicit CountingSource(std::uint32_t vocab) : vocab_(vocab) {}
  [[nodiscard]] bool order(DraftOrder next) override {
    std::vector<TokenId>& text = texts_[next.sequence];
    if (next.held > text.size()) return false;
    text.resize(next.held);
    text.insert(text.end(), next.tokens.begin(), next.tokens.end());
    std::vector<TokenId> tokens;
    for (std::uint32_t i = 0; i < next.wanted; ++i) {
      text.push_back(static_cast<TokenId>((static_cast<std::uint32_t>(text.back()) + 1) % vocab_));
      tokens.push_back(text.back());
    }
    orders = {std::move(next)};
    draft(std::move(tokens));
    return true;
  }
  void forget(SequenceNumber sequence) override { texts_.erase(sequence); }

 private:
  std::uint32_t vocab_;
  std::map<SequenceNumber, std::vector<TokenId>> texts_;
};

}  // namespace troupe::speculation
