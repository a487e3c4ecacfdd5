#include "common/grammar/table_writer.hpp"

#include <algorithm>

namespace troupe::grammar {
namespace {

constexpr std::uint32_t kMostDepth = 4096;  // of expressions in expressions

/// Lists of what ends at, or begins at, each key: offsets into an array of positions.
struct Grouped {
  std::vector<std::uint32_t> begin, items;
  template <class List, class Key>
  Grouped(const List& list, std::size_t keys, const Key& key) : begin(keys + 1, 0), items(list.size()) {
    for (const auto& each : list) ++begin[key(each) + 1];
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    std::vector<std::uint32_t> at(begin.begin(), begin.end() - 1);
    for (std::uint32_t i = 0; i < list.size(); ++i) items[at[key(list[i])]++] = i;
  }
  [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t key) const {
    return std::span(items).subspan(begin[key], begin[key + 1] - begin[key]);
  }
};

}  // namespace

RuleState TableWriter::add_state() {
  return states_++;
}

void TableWriter::emit(Expr expr, RuleState from, RuleState to, std::uint32_t depth) {
  ++work_;
  too_deep_ |= depth > kMostDepth;
  if (full() || too_deep_) return;
  const Builder::Node& node = builder_.nodes_[expr];
  const auto part = [&](std::uint32_t i) { return builder_.parts_[i]; };
  switch (node.op) {
    case Builder::Op::nothing:
      return;
    case Builder::Op::empty:
      jumps_.push_back({from, to});
      return;
    case Builder::Op::bytes:
      edges_.push_back({from, to, node.first, node.last});
      return;
    case Builder::Op::call:
      calls_.push_back({from, to, node.begin});
      return;
    case Builder::Op::choice:
      for (std::uint32_t i = node.begin; i < node.end; ++i) emit(part(i), from, to, depth + 1);
      return;
    case Builder::Op::sequence:
      for (std::uint32_t i = node.begin; i < node.end && !full(); ++i) {
        const RuleState next = i + 1 == node.end ? to : add_state();
        emit(part(i), from, next, depth + 1);
        from = next;
      }
      return;
    case Builder::Op::repeat:
      emit_repeat(node, from, to, depth);
      return;
  }
}

/// An expression leaves edges that go out of `from` and into `to` only, so that neighbours may share both.
void TableWriter::emit_repeat(const Builder::Node& node, RuleState from, RuleState to, std::uint32_t depth) {
  const bool endless = node.most == kNoLimit;
  const bool counts = !endless && builder_.nodes_[node.begin].op == Builder::Op::call;
  RuleState at = from;
  if (counts) {  // states one behind another, so that a count can be told from a state
    at = add_state();
    jumps_.push_back({from, at});
    counted_.push_back({at, node.least, node.most});
  }
  for (std::uint32_t i = 0; i < (endless ? node.least : node.most) && !full(); ++i) {
    if (i >= node.least) jumps_.push_back({at, to});
    const RuleState next = add_state();
    emit(node.begin, at, next, depth + 1);
    at = next;
  }
  if (endless) {
    const RuleState loop = add_state();
    jumps_.push_back({at, loop});
    emit(node.begin, loop, loop, depth + 1);
    at = loop;
  }
  jumps_.push_back({at, to});
}

std::vector<bool> TableWriter::reaching(bool with_bytes) const {
  const Grouped edges_to(edges_, states_, [](const Edge& e) { return e.to; });
  const Grouped jumps_to(jumps_, states_, [](const Jump& j) { return j.to; });
  const Grouped calls_to(calls_, states_, [](const CallEdge& c) { return c.after; });
  const Grouped calls_of(calls_, start_.size(), [](const CallEdge& c) { return c.rule; });
  std::vector<std::uint32_t> rule_started(states_, kNoLimit);  // by start state
  for (std::uint32_t rule = 0; rule < start_.size(); ++rule) rule_started[start_[rule]] = rule;
  std::vector<bool> reached(states_, false);
  std::vector<RuleState> todo;
  const auto reach = [&](RuleState state) {
    if (reached[state]) return;
    reached[state] = true;
    todo.push_back(state);
  };
  for (const RuleState end : end_) reach(end);
  while (!todo.empty()) {
    const RuleState state = todo.back();
    todo.pop_back();
    for (const std::uint32_t i : jumps_to.of(state)) reach(jumps_[i].from);
    if (with_bytes)
      for (const std::uint32_t i : edges_to.of(state)) reach(edges_[i].from);
    for (const std::uint32_t i : calls_to.of(state))
      if (reached[start_[calls_[i].rule]]) reach(calls_[i].from);
    if (const std::uint32_t rule = rule_started[state]; rule != kNoLimit)
      for (const std::uint32_t i : calls_of.of(rule))
        if (reached[calls_[i].after]) reach(calls_[i].from);
  }
  return reached;
}

/// A rule that can call itself before a byte is read would push frames without end.
Expected<void> TableWriter::refuse_left_recursion() const {
  const std::vector<bool> nullable = reaching(false);
  const Grouped jumps_from(jumps_, states_, [](const Jump& j) { return j.from; });
  const Grouped calls_from(calls_, states_, [](const CallEdge& c) { return c.from; });
  // Rules called at a rule's left edge.
  std::vector<std::vector<Rule>> left(start_.size());
  std::vector<std::uint32_t> seen(states_, kNoLimit);
  for (Rule rule = 0; rule < start_.size(); ++rule) {
    std::vector<RuleState> todo{start_[rule]};
    while (!todo.empty()) {
      const RuleState state = todo.back();
      todo.pop_back();
      if (seen[state] == rule) continue;
      seen[state] = rule;
      for (const std::uint32_t i : jumps_from.of(state)) todo.push_back(jumps_[i].to);
      for (const std::uint32_t i : calls_from.of(state)) {
        left[rule].push_back(calls_[i].rule);
        if (nullable[start_[calls_[i].rule]]) todo.push_back(calls_[i].after);
      }
    }
  }
  enum : std::uint8_t { fresh, open, done };
  std::vector<std::uint8_t> mark(start_.size(), fresh);
  for (Rule root = 0; root < start_.size(); ++root) {
    std::vector<std::pair<Rule, std::size_t>> path;
    if (mark[root] == fresh) path.emplace_back(root, 0), mark[root] = open;
    while (!path.empty()) {
      auto& [rule, next] = path.back();
      if (next == left[rule].size()) {
        mark[rule] = done;
        path.pop_back();
        continue;
      }
      const Rule called = left[rule][next++];
      if (mark[called] == open)
        return fail(Errc::invalid_argument,
                    "rule '" + builder_.rules_[called].name +
                        "' begins with itself (left recursion), which is not supported");
      if (mark[called] == fresh) mark[called] = open, path.emplace_back(called, 0);
    }
  }
  return {};
}

/// States from which nothing is left but their rule's end.
std::vector<bool> TableWriter::pure_ends() const {
  std::vector<std::uint32_t> others(states_, 0);
  for (const Edge& edge : edges_) ++others[edge.from];
  for (const CallEdge& call : calls_) ++others[call.from];
  for (const Jump& jump : jumps_) ++others[jump.from];
  const Grouped jumps_to(jumps_, states_, [](const Jump& j) { return j.to; });
  std::vector<bool> pure(states_, false);
  std::vector<RuleState> todo(end_.begin(), end_.end());
  while (!todo.empty()) {
    const RuleState state = todo.back();
    todo.pop_back();
    if (pure[state]) continue;
    pure[state] = true;
    for (const std::uint32_t i : jumps_to.of(state))
      if (--others[jumps_[i].from] == 0) todo.push_back(jumps_[i].from);
  }
  return pure;
}

void TableWriter::write_classes(Grammar& out, const std::vector<Edge>& edges) const {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const Edge& edge : edges) {
    begins[edge.first] = true;
    begins[edge.last + std::size_t{1}] = true;
  }
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) out.class_bytes_.emplace_back(static_cast<std::uint8_t>(byte), 0u);
    out.class_of_[byte] = static_cast<std::uint8_t>(out.class_bytes_.size() - 1);
    ++out.class_bytes_.back().second;
  }
}

Expected<std::shared_ptr<const Grammar>> TableWriter::write(Rule root) {
  if (builder_.rules_.size() > limits_.rules)
    return fail(Errc::invalid_argument,
                "the grammar has more than " + std::to_string(limits_.rules) + " rules");
  for (std::size_t i = 0; i < builder_.rules_.size(); ++i) {
    start_.push_back(add_state());
    end_.push_back(add_state());
  }
  for (std::size_t i = 0; i < builder_.rules_.size(); ++i)
    emit(builder_.rules_[i].body, start_[i], end_[i], 0);
  if (full())
    return fail(Errc::invalid_argument,
                "the grammar unfolds to more than " + std::to_string(limits_.states) + " states");
  if (too_deep_) return fail(Errc::invalid_argument, "the grammar is nested too deeply");

  const std::vector<bool> alive = reaching(true);
  if (!alive[start_[root]]) return fail(Errc::invalid_argument, "no text matches");
  std::erase_if(edges_, [&](const Edge& e) { return !alive[e.from] || !alive[e.to]; });
  std::erase_if(jumps_, [&](const Jump& j) { return !alive[j.from] || !alive[j.to]; });
  std::erase_if(
      calls_, [&](const CallEdge& c) { return !alive[c.from] || !alive[c.after] || !alive[start_[c.rule]]; });
  TROUPE_TRY(refuse_left_recursion());

  auto out = std::make_shared<Grammar>();
  const std::vector<bool> pure = pure_ends();
  write_classes(*out, edges_);
  out->start_ = start_[root];
  out->flags_.assign(states_, 0);
  for (const RuleState end : end_) out->flags_[end] = 1;
  out->counted_ = std::move(counted_);
  std::sort(out->counted_.begin(), out->counted_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  const Grouped edges(edges_, states_, [](const Edge& e) { return e.from; });
  for (const std::uint32_t i : edges.items)
    out->byte_edges_.push_back(
        {out->class_of_[edges_[i].first], out->class_of_[edges_[i].last], edges_[i].to});
  const Grouped jumps(jumps_, states_, [](const Jump& j) { return j.from; });
  for (const std::uint32_t i : jumps.items) out->jumps_.push_back(jumps_[i].to);
  const Grouped calls(calls_, states_, [](const CallEdge& c) { return c.from; });
  for (const std::uint32_t i : calls.items)
    out->calls_.push_back({start_[calls_[i].rule], calls_[i].after, pure[calls_[i].after]});
  out->byte_begin_ = edges.begin;
  out->jump_begin_ = jumps.begin;
  out->call_begin_ = calls.begin;
  return std::shared_ptr<const Grammar>(std::move(out));
}

Expected<std::shared_ptr<const Grammar>> Builder::finish(Rule root, const Limits& limits) const {
  return TableWriter(*this, limits).write(root);
}

const Grammar::Counted* Grammar::counted(RuleState s) const {
  auto after = std::upper_bound(counted_.begin(), counted_.end(), s,
                                [](RuleState state, const Counted& c) { return state < c.first; });
  if (after == counted_.begin()) return nullptr;
  --after;
  return s - after->first <= after->most ? &*after : nullptr;
}

}  // namespace troupe::grammar
