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

/// The white space that the answer put before its last key or string element; " " while there is none.
std::string Matcher::usual_space() const {
  constexpr std::size_t kTokensBack = 48;
  std::string text;
  for (std::size_t i = tokens_.size() - std::min(tokens_.size(), kTokensBack); i < tokens_.size(); ++i)
    text += automaton_->vocabulary().bytes(tokens_[i]);
  for (std::size_t quote = text.rfind('"'); quote != std::string::npos && quote > 0;
       quote = text.rfind('"', quote - 1)) {
    const std::size_t before = text.find_last_not_of(" \t\n\r", quote - 1);
    if (before != std::string::npos && (text[before] == ',' || text[before] == '{' || text[before] == '['))
      return text.substr(before + 1, quote - before - 1);
  }
  return " ";
}

std::vector<TokenId> Matcher::expected(std::size_t most) {
  constexpr std::size_t kBytesOfToken = 8;
  std::string text;
  Automaton::State at = state();
  char before = tokens_.empty() ? '\0' : automaton_->vocabulary().bytes(tokens_.back()).back();
  const auto read_on = [&](char c) {
    const Automaton::State next = automaton_->step(at, static_cast<std::uint8_t>(c));
    if (next == Automaton::kDead) return false;
    at = next;
    text.push_back(before = c);
    return true;
  };
  while (text.size() < most * kBytesOfToken) {
    int byte = automaton_->only_byte(at);
    if (byte < 0) {
      byte = automaton_->only_byte(at, Automaton::WhiteSpace::aside);
      if (byte < 0) break;
      if (before == ':') (void)read_on(' ');
      if (before == ',')
        for (const char c : usual_space())
          if (!read_on(c)) break;
    }
    if (!read_on(static_cast<char>(byte))) break;
  }
  std::vector<TokenId> tokens = automaton_->vocabulary().split(text);
  if (tokens.size() > most) tokens.resize(most);
  return tokens;
}

}  // namespace troupe::grammar
