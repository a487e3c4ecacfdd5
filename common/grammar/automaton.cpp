#include "common/grammar/automaton.hpp"

#include <algorithm>
#include <utility>

namespace troupe::grammar {
namespace {

std::size_t mix(std::size_t seed, std::uint64_t value) {
  return (seed ^ value) * 0x9E3779B97F4A7C15ULL + (seed >> 29);
}

bool is_white(std::uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

void set_all(std::vector<std::uint64_t>& mask, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) mask[static_cast<std::size_t>(token) / 64] |= 1ULL << (token % 64);
}

}  // namespace

std::size_t Automaton::NodeHash::operator()(State state) const {
  const Node& node = (*nodes)[state];
  std::size_t hash = (node.ends ? 1u : 0u) + (node.leaves ? 2u : 0u);
  for (const Place& place : node.places) hash = mix(mix(hash, place.at), place.stack);
  return hash;
}

bool Automaton::NodeEqual::operator()(State a, State b) const {
  const Node &x = (*nodes)[a], &y = (*nodes)[b];
  return x.ends == y.ends && x.leaves == y.leaves && x.places == y.places;
}

std::size_t Automaton::FrameHash::operator()(const Frame& frame) const {
  return mix(mix(0, frame.after), frame.below);
}

std::size_t Automaton::PlaceHash::operator()(const Place& place) const {
  return mix(mix(0, place.at), place.stack);
}

Automaton::Automaton(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> vocabulary,
                     const AutomatonLimits& limits)
    : grammar_(std::move(grammar)),
      vocabulary_(std::move(vocabulary)),
      limits_(limits),
      known_(16, NodeHash{&nodes_}, NodeEqual{&nodes_}),
      path_(vocabulary_->longest() + 1) {
  reset();
}

void Automaton::reset() {
  known_.clear();
  nodes_.clear();
  frames_.assign(2, {});  // kBottom and kUnknown
  stack_of_.clear();
  masks_.clear();
  rule_masks_.clear();
  mask_bytes_ = 0;
  (void)intern({});  // kDead
  reach({kBottom, grammar_->start()});
  start_ = take_reached();
}

bool Automaton::renew() {
  if (nodes_.size() < limits_.states && frames_.size() < std::size_t{limits_.states} * 4) return false;
  reset();
  ++generation_;
  return true;
}

Automaton::Stack Automaton::push(RuleState after, Stack below) {
  const Frame frame{after, below, frames_[below].depth + 1};
  const auto [at, fresh] = stack_of_.try_emplace(frame, static_cast<Stack>(frames_.size()));
  if (fresh) frames_.push_back(frame);
  return at->second;
}

/// Adds to the state being made a place, and all that lies behind it without a byte.
void Automaton::reach(Place first) {
  todo_.push_back(first);
  while (!todo_.empty()) {
    const Place place = todo_.back();
    todo_.pop_back();
    if (!seen_.insert(place).second) continue;
    if (!grammar_->bytes(place.at).empty() && reached_.places.size() < limits_.places)
      reached_.places.push_back(place);
    for (const RuleState to : grammar_->jumps(place.at)) todo_.push_back({place.stack, to});
    for (const Grammar::Call& call : grammar_->calls(place.at)) {
      if (call.last)
        todo_.push_back({place.stack, call.start});
      else if (frames_[place.stack].depth < limits_.frames)
        todo_.push_back({push(call.after, place.stack), call.start});
    }
    if (!grammar_->ends(place.at)) continue;
    if (place.stack == kBottom)
      reached_.ends = true;
    else if (place.stack == kUnknown)
      reached_.leaves = true;
    else
      todo_.push_back({frames_[place.stack].below, frames_[place.stack].after});
  }
}

Automaton::State Automaton::take_reached() {
  seen_.clear();
  return intern(std::exchange(reached_, {}));
}

Automaton::State Automaton::intern(Node node) {
  const auto fresh = static_cast<State>(nodes_.size());
  nodes_.push_back(std::move(node));
  const auto [at, added] = known_.insert(fresh);
  if (!added) nodes_.pop_back();
  return *at;
}

Automaton::State Automaton::step_class(State from, std::uint32_t byte_class) {
  if (!nodes_[from].next.empty() && nodes_[from].next[byte_class] != kUntaken)
    return nodes_[from].next[byte_class];
  for (const Place place : std::vector<Place>(nodes_[from].places)) {
    for (const Grammar::ByteEdge& edge : grammar_->bytes(place.at))
      if (edge.first <= byte_class && byte_class <= edge.last) reach({place.stack, edge.target});
  }
  const State to = take_reached();
  Node& node = nodes_[from];
  if (node.next.empty()) node.next.assign(grammar_->classes(), kUntaken);
  return node.next[byte_class] = to;
}

int Automaton::only_byte(State state, WhiteSpace space) {
  if (ends(state)) return -1;
  int found = -1;
  for (std::uint32_t c = 0; c < grammar_->classes(); ++c) {
    if (step_class(state, c) == kDead) continue;
    if (space == WhiteSpace::aside && grammar_->class_size(c) == 1 && is_white(grammar_->class_byte(c))) continue;
    if (found >= 0 || grammar_->class_size(c) != 1) return -1;
    found = grammar_->class_byte(c);
  }
  return found;
}

/// Visits trie nodes below `below` whose bytes may be read from `from`: visit(node, state), true to go on
/// below it.
template <class Visit>
void Automaton::walk(State from, std::uint32_t below, const Visit& visit) {
  const TokenTrie& trie = *vocabulary_;
  path_[trie.depth(below)] = from;
  const std::uint32_t end = trie.end(below);
  for (std::uint32_t node = below + 1; node < end;) {
    const std::uint32_t depth = trie.depth(node);
    const State state = step(path_[depth - 1], trie.byte(node));
    if (state == kDead || !visit(node, state)) {
      node = trie.end(node);
      continue;
    }
    path_[depth] = state;
    ++node;
  }
}

const Automaton::RuleMask& Automaton::rule_mask(std::span<const Place> group) {
  Node alone;
  for (const Place& place : group) alone.places.push_back({kUnknown, place.at});
  const State state = intern(std::move(alone));
  if (const auto found = rule_masks_.find(state); found != rule_masks_.end()) return found->second;
  RuleMask mask{std::vector<std::uint64_t>(vocabulary_->mask_words(), 0), {}};
  walk(state, 0, [&](std::uint32_t node, State at) {
    set_all(mask.allowed, vocabulary_->tokens(node));
    if (nodes_[at].leaves && vocabulary_->end(node) > node + 1) mask.leaving.push_back(node);
    return true;
  });
  mask_bytes_ += mask.allowed.size() * 8 + mask.leaving.size() * 4;
  return rule_masks_.emplace(state, std::move(mask)).first->second;
}

/// Where a long repetition is far from both its ends, no token can tell one count from another.
RuleState Automaton::usual_count(RuleState state) const {
  const Grammar::Counted* counted = grammar_->counted(state);
  if (counted == nullptr) return state;
  const std::uint32_t count = state - counted->first, reach = vocabulary_->longest();
  if (count >= counted->least && counted->most - count > reach) return counted->first + counted->least;
  if (count < counted->least && counted->least - count > reach) return counted->first;
  return state;
}

/// The state that allows the same tokens and stands for many.
Automaton::State Automaton::usual(State state) {
  Node node{nodes_[state].places, nodes_[state].ends, nodes_[state].leaves, {}};
  bool changed = false;
  for (Place& place : node.places) {
    if (place.stack == kBottom || place.stack == kUnknown) continue;
    const Frame frame = frames_[place.stack];
    const RuleState after = usual_count(frame.after);
    if (after == frame.after) continue;
    changed = true;
    place.stack = push(after, frame.below);
  }
  if (!changed) return state;
  std::vector<Place> once;
  for (const Place& place : node.places)
    if (std::find(once.begin(), once.end(), place) == once.end()) once.push_back(place);
  node.places = std::move(once);
  return intern(std::move(node));
}

std::vector<std::uint64_t> Automaton::make_mask(State state) {
  std::vector<std::uint64_t> mask(vocabulary_->mask_words(), 0);
  std::vector<Place> places = nodes_[state].places;  // a copy: steps below move the nodes
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.stack < b.stack; });
  for (std::size_t begin = 0; begin < places.size();) {
    const Stack stack = places[begin].stack;
    std::size_t end = begin;
    while (end < places.size() && places[end].stack == stack) ++end;
    const RuleMask& rule = rule_mask(std::span(places).subspan(begin, end - begin));
    begin = end;
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] |= rule.allowed[i];
    if (stack == kBottom || rule.leaving.empty()) continue;
    reach({frames_[stack].below, frames_[stack].after});
    const State caller = take_reached();
    for (const std::uint32_t node : rule.leaving)
      walk(caller, node, [&](std::uint32_t at, State) {
        set_all(mask, vocabulary_->tokens(at));
        return true;
      });
  }
  return mask;
}

std::span<const std::uint64_t> Automaton::mask(State state) {
  if (const auto found = masks_.find(state); found != masks_.end()) return found->second;
  if (mask_bytes_ > limits_.mask_bytes) {
    masks_.clear();
    rule_masks_.clear();
    mask_bytes_ = 0;
  }
  const State same = usual(state);
  auto made = masks_.find(same);
  if (made == masks_.end()) {
    made = masks_.emplace(same, make_mask(same)).first;
    mask_bytes_ += made->second.size() * 8;
  }
  if (same == state) return made->second;
  mask_bytes_ += made->second.size() * 8;
  return masks_[state] = std::vector<std::uint64_t>(made->second);
}

}  // namespace troupe::grammar
