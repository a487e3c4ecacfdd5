#include "common/grammar/builder.hpp"

#include <algorithm>
#include <map>

namespace troupe::grammar {

Builder::Builder() {
  (void)add({.op = Op::nothing});
  (void)add({.op = Op::empty});
}

Expr Builder::add(Node node) {
  nodes_.push_back(node);
  return static_cast<Expr>(nodes_.size() - 1);
}

Expr Builder::add_list(Op op, const std::vector<Expr>& parts) {
  Node node{.op = op, .begin = static_cast<std::uint32_t>(parts_.size())};
  parts_.insert(parts_.end(), parts.begin(), parts.end());
  node.end = static_cast<std::uint32_t>(parts_.size());
  return add(node);
}

Expr Builder::byte_range(std::uint8_t first, std::uint8_t last) {
  return add({.op = Op::bytes, .first = first, .last = last});
}

Expr Builder::literal(std::string_view text) {
  std::vector<Expr> parts;
  parts.reserve(text.size());
  for (const char c : text)
    parts.push_back(byte_range(static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c)));
  return sequence(std::move(parts));
}

/// Sequences that share all but their first byte share the tail's states: grouped by tail.
Expr Builder::chars(const CharSet& set) {
  std::map<std::vector<std::pair<std::uint8_t, std::uint8_t>>, std::vector<Expr>> by_tail;
  for (const ByteSequence& sequence : utf8_sequences(set)) {
    std::vector<std::pair<std::uint8_t, std::uint8_t>> tail;
    for (std::size_t i = 1; i < sequence.size(); ++i) tail.emplace_back(sequence[i].first, sequence[i].last);
    by_tail[tail].push_back(byte_range(sequence[0].first, sequence[0].last));
  }
  std::vector<Expr> options;
  for (auto& [tail, leads] : by_tail) {
    std::vector<Expr> parts{choice(std::move(leads))};
    for (const auto& [first, last] : tail) parts.push_back(byte_range(first, last));
    options.push_back(sequence(std::move(parts)));
  }
  return choice(std::move(options));
}

Expr Builder::sequence(std::vector<Expr> parts) {
  if (std::find(parts.begin(), parts.end(), nothing()) != parts.end()) return nothing();
  std::erase(parts, empty());
  if (parts.empty()) return empty();
  return parts.size() == 1 ? parts.front() : add_list(Op::sequence, parts);
}

Expr Builder::choice(std::vector<Expr> parts) {
  std::erase(parts, nothing());
  if (parts.empty()) return nothing();
  return parts.size() == 1 ? parts.front() : add_list(Op::choice, parts);
}

Expr Builder::repeat(Expr part, std::uint32_t least, std::uint32_t most) {
  if (most == 0 || part == empty() || (part == nothing() && least == 0)) return empty();
  if (part == nothing() || least > most) return nothing();
  if (least == 1 && most == 1) return part;
  return add({.op = Op::repeat, .least = least, .most = most, .begin = part});
}

Expr Builder::call(Rule rule) {
  return add({.op = Op::call, .begin = rule});
}

Rule Builder::add_rule(std::string name) {
  rules_.push_back({std::move(name), nothing()});
  return static_cast<Rule>(rules_.size() - 1);
}

Expr Builder::named(std::string name, Expr body) {
  const Rule rule = add_rule(std::move(name));
  define(rule, body);
  return call(rule);
}

}  // namespace troupe::grammar
