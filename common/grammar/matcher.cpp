#include "common/grammar/matcher.hpp"

#include <algorithm>

#include "common/base/error.hpp"

namespace troupe::grammar {
namespace {

Automaton::State read(Automaton& automaton, Automaton::State state, std::string_view text) {
  for (const char c : text) {
    if (state == Automaton::kDead) break;
    state = automaton.step(state, static_cast<std::uint8_t>(c));
  }
  return state;
}

}  // namespace

Matcher::Matcher(std::shared_ptr<Automaton> automaton)
    : automaton_(std::move(automaton)), generation_(automaton_->generation()), states_{automaton_->start()} {}

/// The present state; read again from the tokens when the automaton has forgotten it.
Automaton::State Matcher::state() {
  (void)automaton_->renew();
  if (generation_ == automaton_->generation()) return states_.back();
  generation_ = automaton_->generation();
  states_.assign(1, automaton_->start());
  for (const TokenId token : tokens_) {
    states_.push_back(read(*automaton_, states_.back(), automaton_->vocabulary().bytes(token)));
    TROUPE_CHECK(states_.back() != Automaton::kDead, "a text that was accepted is accepted again");
  }
  return states_.back();
}

bool Matcher::accept(TokenId token) {
  if (token < 0 || static_cast<std::uint32_t>(token) >= automaton_->vocabulary().vocab()) return false;
  const std::string_view text = automaton_->vocabulary().bytes(token);
  if (text.empty()) return false;
  const Automaton::State to = read(*automaton_, state(), text);
  if (to == Automaton::kDead) return false;
  tokens_.push_back(token);
  states_.push_back(to);
  return true;
}

void Matcher::rollback(std::size_t count) {
  count = std::min(count, tokens_.size());
  tokens_.resize(tokens_.size() - count);
  states_.resize(states_.size() - count);
}

std::span<const std::uint64_t> Matcher::mask() {
  return automaton_->mask(state());
}

bool Matcher::may_end() {
  return automaton_->ends(state());
}

bool Matcher::complete() {
  const Automaton::State at = state();
  return automaton_->ends(at) && automaton_->closed(at);
}

std::string Matcher::forced(std::size_t most) {
  std::string text;
  Automaton::State at = state();
  while (text.size() < most) {
    const int byte = automaton_->only_byte(at);
    if (byte < 0) break;
    text.push_back(static_cast<char>(byte));
    at = automaton_->step(at, static_cast<std::uint8_t>(byte));
  }
  return text;
}

}  // namespace troupe::grammar
