// The `loop` a template sees inside `for`.
#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"

namespace troupe::jinja {

std::optional<Value> Loop::take() {
  while (taken < source.size()) {
    const Value& next = source[taken++];
    if (!accepts || accepts(next)) return next;
  }
  return std::nullopt;
}

const std::optional<Value>& Loop::peek() {
  if (!after) after = take();
  return after;
}

bool Loop::advance() {
  auto next = after ? std::exchange(after, std::nullopt) : take();
  if (!next) return false;
  ++index0;
  before = std::exchange(current, std::move(next));
  return true;
}

std::int64_t Loop::length() {
  if (accepts) {  // what remains must be tried now, once
    Values rest;
    while (auto next = take()) rest.push_back(std::move(*next));
    accepts = nullptr;
    source = std::move(rest);
    taken = 0;
    filtered = index0 + 1 + (after ? 1 : 0);
  }
  return filtered + static_cast<std::int64_t>(source.size());
}

namespace {

Value cycle(Machine& machine, const Loop& loop, const Args& args) {
  if (args.positional.empty() || !args.named.empty()) machine.fail("no items for cycling given");
  return args.positional[static_cast<std::size_t>(loop.index0) % args.positional.size()];
}

Value changed(Machine& machine, Loop& loop, Args& args) {
  bool differs = !loop.changed || loop.changed->size() != args.positional.size();
  for (std::size_t i = 0; !differs && i < args.positional.size(); ++i) differs = !equal(machine, (*loop.changed)[i], args.positional[i]);
  if (differs) loop.changed = std::move(args.positional);
  return Value(differs);
}

}  // namespace

Value loop_attribute(Machine& machine, const LoopPtr& loop, const std::string& name) {
  if (name == "index0") return Value(loop->index0);
  if (name == "index") return Value(loop->index0 + 1);
  if (name == "first") return Value(loop->index0 == 0);
  if (name == "last") return Value(!loop->peek().has_value());
  if (name == "length") return Value(loop->length());
  if (name == "revindex") return Value(loop->length() - loop->index0);
  if (name == "revindex0") return Value(loop->length() - loop->index0 - 1);
  if (name == "depth0") return Value(static_cast<std::int64_t>(loop->depth0));
  if (name == "depth") return Value(static_cast<std::int64_t>(loop->depth0 + 1));
  if (name == "previtem") return loop->index0 == 0 ? machine.undefined("there is no previous item") : loop->before.value_or(Value());
  if (name == "nextitem") return loop->peek() ? *loop->peek() : machine.undefined("there is no next item");
  if (name == "cycle") return machine.function(name, [loop](Machine& inside, Args& args) { return cycle(inside, *loop, args); });
  if (name == "changed") return machine.function(name, [loop](Machine& inside, Args& args) { return changed(inside, *loop, args); });
  return machine.undefined(say({"the loop has no attribute '", name, "'"}));
}

}  // namespace troupe::jinja
