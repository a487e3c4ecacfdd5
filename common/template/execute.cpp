// Runs statements.
#include <algorithm>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"

namespace troupe::jinja {

/// A scope inside `parent` while it lives.
class Machine::Entered {
 public:
  Entered(Machine& machine, ScopePtr parent) : machine_(machine), before_(std::move(machine.scope_)) {
    machine_.scope_ = std::make_shared<Scope>();
    machine_.scope_->parent = std::move(parent);
  }
  explicit Entered(Machine& machine) : Entered(machine, machine.scope_) {}
  ~Entered() { machine_.scope_ = std::move(before_); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Machine& machine_;
  ScopePtr before_;
};

/// Output goes to `text` while it lives.
class Machine::Captured {
 public:
  explicit Captured(Machine& machine) : machine_(machine), before_(std::exchange(machine.out_, &text)) {}
  ~Captured() { machine_.out_ = before_; }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text;

 private:
  Machine& machine_;
  std::string* before_;
};

Flow Machine::run(const Body& body) {
  for (const Statement& statement : body) {
    const Flow flow = run(statement);
    if (flow != Flow::onward) return flow;
  }
  return Flow::onward;
}

Flow Machine::run(const Statement& statement) {
  step();
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::data: write(statement.name); return Flow::onward;
    case StatementKind::output:
      for (const auto& expression : statement.expressions) {
        const Value value = evaluate(*expression);
        if (value.is_text()) {
          write(value.bytes());
        } else {
          write(str(*this, value));
        }
      }
      return Flow::onward;
    case StatementKind::branch: return run_branch(statement);
    case StatementKind::loop: return run_loop(statement);
    case StatementKind::assign: assign(statement.target, evaluate(*statement.expressions[0])); return Flow::onward;
    case StatementKind::assign_block: return run_assign_block(statement);
    case StatementKind::macro:
      define(statement.name, make_macro(statement.name, statement.signature, statement.bodies[0]));
      return Flow::onward;
    case StatementKind::call_block: {
      const Value caller = make_macro("caller", statement.signature, statement.bodies[0]);
      write(str(*this, evaluate_call(*statement.expressions[0], &caller)));
      return Flow::onward;
    }
    case StatementKind::filter_block: return run_filter_block(statement);
    case StatementKind::with: return run_with(statement);
    case StatementKind::scope: {
      const Deeper deeper(*this);
      const Entered entered(*this);
      return run(statement.bodies[0]);
    }
    case StatementKind::stop: return Flow::stopped;
    case StatementKind::proceed: return Flow::proceeding;
  }
  return Flow::onward;
}

Flow Machine::run_branch(const Statement& statement) {
  const Deeper deeper(*this);
  std::size_t at = 0;
  while (at < statement.expressions.size() && !truthy(evaluate(*statement.expressions[at]))) ++at;
  return at < statement.bodies.size() ? run(statement.bodies[at]) : Flow::onward;
}

Flow Machine::run_loop(const Statement& statement) {
  const Deeper deeper(*this);
  return run_loop_over(statement, evaluate(*statement.expressions[0]), 0);
}

Value Machine::loop_object(const Statement& statement, const std::shared_ptr<Loop>& loop) {
  if (statement.expressions[1]) {
    loop->accepts = [this, &statement, outer = scope_](const Value& item) {
      const Entered entered(*this, outer);
      assign(statement.target, item);
      return truthy(evaluate(*statement.expressions[1]));
    };
  }
  if (statement.recursive) {
    loop->recurse = [&statement, outer = scope_, depth = loop->depth0](Machine& machine, Args& args) {
      const auto [iterable] = bind(machine, args, {"iterable"});
      const Deeper deeper(machine);
      const Entered entered(machine, outer);
      Captured captured(machine);
      (void)machine.run_loop_over(statement, required(machine, iterable, "iterable"), depth + 1);
      return machine.text(std::move(captured.text));
    };
  }
  return Value(LoopPtr(loop));
}

Flow Machine::run_loop_over(const Statement& statement, const Value& iterable, std::size_t depth) {
  const auto loop = std::make_shared<Loop>();
  loop->source = items(iterable);
  loop->depth0 = depth;
  const Value object = loop_object(statement, loop);
  // The loop's functions keep the scope; a loop the template stored away must not.
  struct Finish {
    Loop& loop;
    ~Finish() {
      loop.taken = loop.source.size();
      loop.accepts = nullptr;
      loop.recurse = nullptr;
    }
  } finish{*loop};
  while (loop->advance()) {
    step();
    const Entered entered(*this);
    define("loop", object);
    assign(statement.target, *loop->current);
    if (run(statement.bodies[0]) == Flow::stopped) return Flow::onward;
  }
  if (loop->index0 >= 0 || statement.bodies.size() < 2) return Flow::onward;
  const Entered entered(*this);
  return run(statement.bodies[1]);
}

Flow Machine::run_with(const Statement& statement) {
  const Deeper deeper(*this);
  Values values = evaluate_all(statement.expressions);
  const Entered entered(*this);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.target.parts[i], std::move(values[i]));
  return run(statement.bodies[0]);
}

Flow Machine::run_filter_block(const Statement& statement) {
  const Deeper deeper(*this);
  Flow flow = Flow::onward;
  Value value;
  {
    Captured captured(*this);
    const Entered entered(*this);
    flow = run(statement.bodies[0]);
    value = text(std::move(captured.text));
  }
  write(str(*this, filter_captured(*statement.expressions[0], value)));
  return flow;
}

Flow Machine::run_assign_block(const Statement& statement) {
  const Deeper deeper(*this);
  Flow flow = Flow::onward;
  Value value;
  {
    Captured captured(*this);
    const Entered entered(*this);
    flow = run(statement.bodies[0]);
    value = text(std::move(captured.text));
  }
  if (statement.expressions[0]) value = filter_captured(*statement.expressions[0], value);
  assign(statement.target, std::move(value));
  return flow;
}

void Machine::assign(const Target& target, Value value) {
  if (target.name.empty()) {
    const Deeper deeper(*this);
    Values values = items(value);
    if (values.size() != target.parts.size()) {
      fail(say({"cannot unpack ", std::to_string(values.size()), " values into ", std::to_string(target.parts.size())}));
    }
    for (std::size_t i = 0; i < values.size(); ++i) assign(target.parts[i], std::move(values[i]));
    return;
  }
  if (target.attribute.empty()) {
    define(target.name, std::move(value));
    return;
  }
  const Value space = lookup(target.name);
  if (!space.is<NamespacePtr>()) fail(say({"cannot assign attribute on non-namespace object '", target.name, "'"}));
  auto& attributes = space.as<NamespacePtr>()->attributes;
  step(attributes.size() / 16);
  for (auto& [name, known] : attributes) {
    if (name != target.attribute) continue;
    known = std::move(value);
    return;
  }
  attributes.emplace_back(target.attribute, std::move(value));
}

Value Machine::make_macro(const std::string& name, const Signature& signature, const Body& body) {
  remember_scope(scope_);
  return function(
      name,
      [name, &signature, &body, defined_in = scope_](Machine& machine, Args& args) {
        return machine.call_macro(name, signature, body, defined_in, args);
      },
      true);
}

void Machine::bind_macro(const std::string& name, const Signature& signature, Args& args) {
  const auto set_named = [&](const std::string& wanted, const std::string& otherwise) {
    const auto row = std::find_if(args.named.begin(), args.named.end(), [&](const auto& known) { return known.first == wanted; });
    const bool there = row != args.named.end();
    define(wanted, there ? row->second : undefined(otherwise));
    if (there) args.named.erase(row);
    return there;
  };
  const std::size_t count = signature.names.size(), plain = count - signature.defaults.size();
  std::vector<std::size_t> missing;
  step(count * args.named.size() / 16);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& parameter = signature.names[i];
    if (i < args.positional.size()) {
      define(parameter, std::move(args.positional[i]));
      continue;
    }
    if (!set_named(parameter, say({"parameter '", parameter, "' was not provided"}))) missing.push_back(i);
  }
  if (signature.uses_caller) {
    const bool named = std::find(signature.names.begin(), signature.names.end(), "caller") != signature.names.end();
    if (!named) (void)set_named("caller", "No caller defined");
  }
  if (signature.uses_kwargs) {
    std::vector<std::pair<Value, Value>> rest;
    for (auto& [key, value] : args.named) rest.emplace_back(text(key), std::move(value));
    define("kwargs", dict(std::move(rest)));
  } else if (!args.named.empty()) {
    fail(say({"macro '", name, "' takes no keyword argument '", args.named.front().first, "'"}));
  }
  const auto surplus = args.positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, args.positional.size()));
  if (signature.uses_varargs) {
    define("varargs", list(Values(surplus, args.positional.end()), ListKind::tuple));
  } else if (surplus != args.positional.end()) {
    fail(say({"macro '", name, "' takes not more than ", std::to_string(count), " argument(s)"}));
  }
  for (const std::size_t i : missing) {
    if (i >= plain) define(signature.names[i], evaluate(*signature.defaults[i - plain]));
  }
}

Value Machine::call_macro(const std::string& name, const Signature& signature, const Body& body, const ScopePtr& defined_in, Args& args) {
  struct Counted {
    std::size_t& calls;
    ~Counted() { --calls; }
  } counted{++calls_};
  if (calls_ > limits_.depth) fail_depth();
  const Deeper deeper(*this);
  const Entered entered(*this, defined_in);
  bind_macro(name, signature, args);
  Captured captured(*this);
  (void)run(body);
  return text(std::move(captured.text));
}

}  // namespace troupe::jinja
