#include "common/speculation/suffix_automaton.hpp"

namespace troupe::speculation {

std::uint32_t SuffixAutomaton::target(std::uint32_t state, TokenId token) const {
  if (state == 0) {
    const auto found = root_.find(token);
    return found == root_.end() ? kNone : found->second;
  }
  for (std::uint32_t edge = states_[state].first_edge; edge != kNone; edge = edges_[edge].next)
    if (edges_[edge].token == token) return edges_[edge].target;
  return kNone;
}

void SuffixAutomaton::set_target(std::uint32_t state, TokenId token, std::uint32_t target) {
  if (state == 0) {
    root_[token] = target;
    return;
  }
  for (std::uint32_t edge = states_[state].first_edge; edge != kNone; edge = edges_[edge].next) {
    if (edges_[edge].token != token) continue;
    edges_[edge].target = target;
    return;
  }
  edges_.push_back({token, target, states_[state].first_edge});
  states_[state].first_edge = static_cast<std::uint32_t>(edges_.size() - 1);
}

SuffixAutomaton::Match SuffixAutomaton::step(Match match, TokenId token) const {
  // A state may have been split since: its shorter substrings moved to its link.
  while (match.state != 0 && match.length <= states_[states_[match.state].link].length)
    match.state = states_[match.state].link;
  std::uint32_t next = target(match.state, token);
  while (next == kNone && match.state != 0) {
    match.state = states_[match.state].link;
    match.length = states_[match.state].length;
    next = target(match.state, token);
  }
  if (next == kNone) return {};
  return {next, match.length + 1, states_[next].end};
}

/// Substrings of `state` that end a substring of `parent` with `token` become a state of their own.
std::uint32_t SuffixAutomaton::split(std::uint32_t parent, std::uint32_t state, TokenId token) {
  const auto clone = static_cast<std::uint32_t>(states_.size());
  states_.push_back({states_[state].link, states_[parent].length + 1, states_[state].end, kNone});
  for (std::uint32_t edge = states_[state].first_edge; edge != kNone; edge = edges_[edge].next)
    set_target(clone, edges_[edge].token, edges_[edge].target);
  for (std::uint32_t at = parent; at != kNone && target(at, token) == state; at = states_[at].link)
    set_target(at, token, clone);
  states_[state].link = clone;
  return clone;
}

void SuffixAutomaton::append(TokenId token) {
  const auto added = static_cast<std::uint32_t>(states_.size());
  states_.push_back({0, states_[last_].length + 1, size_, kNone});
  std::uint32_t at = last_;
  for (; at != kNone && target(at, token) == kNone; at = states_[at].link) set_target(at, token, added);
  if (at != kNone) {
    const std::uint32_t known = target(at, token);
    const bool whole = states_[at].length + 1 == states_[known].length;
    const std::uint32_t link = whole ? known : split(at, known, token);
    states_[added].link = link;
  }
  last_ = added;
  std::uint32_t told = states_[added].link;
  for (int i = 0; i < kRefreshed && told != 0; ++i, told = states_[told].link) states_[told].end = size_;
  ++size_;
}

}  // namespace troupe::speculation
