// Evaluates expressions.
#include <algorithm>
#include <array>

#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/machine.hpp"
#include "common/template/tests.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {

Value Machine::evaluate(const Expression& expression) {
  step();
  line_ = expression.line;
  if (expression.kind == ExpressionKind::constant) return expression.constant;
  if (expression.kind == ExpressionKind::name) return lookup(expression.name);
  const Deeper deeper(*this);
  const auto kid = [&](std::size_t index) { return evaluate(*expression.kids[index]); };
  switch (expression.kind) {
    case ExpressionKind::list: return list(evaluate_all(expression.kids));
    case ExpressionKind::tuple: return list(evaluate_all(expression.kids), ListKind::tuple);
    case ExpressionKind::dict: return evaluate_dict(expression);
    case ExpressionKind::attribute: {
      const Value object = kid(0);
      line_ = expression.line;
      return get_attribute(*this, object, expression.name);
    }
    case ExpressionKind::item: return evaluate_item(expression);
    case ExpressionKind::call: return evaluate_call(expression, nullptr);
    case ExpressionKind::filter: return apply_filter(expression, kid(0));
    case ExpressionKind::test: return Value(apply_test(expression, kid(0)));
    case ExpressionKind::negative: return apply(*this, Operator::sub, Value(std::int64_t{0}), kid(0));
    case ExpressionKind::positive: return apply(*this, Operator::add, Value(std::int64_t{0}), kid(0));
    case ExpressionKind::negation: return Value(!truthy(kid(0)));
    case ExpressionKind::arithmetic: return evaluate_arithmetic(expression);
    case ExpressionKind::compare: return evaluate_compare(expression);
    case ExpressionKind::concat: {
      std::string joined;
      for (const auto& part : expression.kids) {
        joined += str(*this, evaluate(*part));
        fits(joined.size());
      }
      return text(std::move(joined));
    }
    case ExpressionKind::all:
    case ExpressionKind::any: {
      const bool decides = expression.kind == ExpressionKind::any;
      Value value;
      for (const auto& part : expression.kids) {
        value = evaluate(*part);
        if (truthy(value) == decides) break;
      }
      return value;
    }
    case ExpressionKind::conditional:
      if (truthy(kid(0))) return kid(1);
      if (expression.kids[2]) return kid(2);
      return undefined("the inline if-expression evaluated to false and no else section was defined");
    default: fail("a slice stands outside of brackets");
  }
}

Values Machine::evaluate_all(const std::vector<ExpressionPtr>& expressions) {
  Values values;
  values.reserve(expressions.size());
  for (const auto& expression : expressions) values.push_back(evaluate(*expression));
  return values;
}

Value Machine::evaluate_dict(const Expression& expression) {
  std::vector<std::pair<Value, Value>> entries;
  for (std::size_t i = 0; i + 1 < expression.kids.size(); i += 2) {
    Value key = evaluate(*expression.kids[i]);
    entries.emplace_back(std::move(key), evaluate(*expression.kids[i + 1]));
  }
  return dict(std::move(entries));
}

Value Machine::evaluate_arithmetic(const Expression& expression) {
  Value left = evaluate(*expression.kids[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    const Value right = evaluate(*expression.kids[i + 1]);
    line_ = expression.line;
    left = apply(*this, expression.operators[i], left, right);
  }
  return left;
}

Value Machine::evaluate_compare(const Expression& expression) {
  Value left = evaluate(*expression.kids[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.kids[i + 1]);
    line_ = expression.line;
    if (!compare(*this, expression.operators[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Machine::evaluate_item(const Expression& expression) {
  const Value object = evaluate(*expression.kids[0]);
  if (expression.kids[1]->kind == ExpressionKind::slice) return evaluate_slice(object, *expression.kids[1]);
  const Value key = evaluate(*expression.kids[1]);
  line_ = expression.line;
  return get_item(*this, object, key);
}

namespace {

/// Python's slice.indices(): the positions that start:stop:step takes of `size`.
std::vector<std::size_t> slice_positions(std::int64_t size, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                                         std::int64_t stride) {
  const std::int64_t low = stride < 0 ? -1 : 0, high = stride < 0 ? size - 1 : size;
  const auto clip = [&](std::int64_t at) { return at < 0 ? std::max(at + size, low) : std::min(at, high); };
  std::int64_t at = start ? clip(*start) : stride < 0 ? high : low;
  const std::int64_t end = stop ? clip(*stop) : stride < 0 ? low : high;
  std::vector<std::size_t> positions;
  while (stride < 0 ? at > end : at < end) {
    positions.push_back(static_cast<std::size_t>(at));
    if (__builtin_add_overflow(at, stride, &at)) break;
  }
  return positions;
}

}  // namespace

Value Machine::evaluate_slice(const Value& object, const Expression& slice) {
  std::array<std::optional<std::int64_t>, 3> parts;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!slice.kids[i]) continue;
    const Value part = evaluate(*slice.kids[i]);
    if (!part.is_none()) parts[i] = whole_number(*this, part);
  }
  line_ = slice.line;
  const std::int64_t stride = parts[2].value_or(1);
  if (stride == 0) fail("slice step cannot be zero");
  if (object.is_undefined()) fail(object.as<Undefined>().reason ? *object.as<Undefined>().reason : "the value is undefined");
  if (object.is_text()) {
    const std::string& bytes = object.bytes();
    step(bytes.size() / 64);
    const bool markup = object.as<TextPtr>()->markup;
    const std::u32string points = to_points(bytes);
    std::u32string chosen;
    for (const auto at : slice_positions(static_cast<std::int64_t>(points.size()), parts[0], parts[1], stride)) chosen += points[at];
    return text(from_points(chosen), markup);
  }
  if (object.is_list() && object.as<ListPtr>()->kind <= ListKind::range) {
    const List& source = *object.as<ListPtr>();
    Values chosen;
    for (const auto at : slice_positions(static_cast<std::int64_t>(source.items.size()), parts[0], parts[1], stride)) {
      chosen.push_back(source.items[at]);
    }
    return list(std::move(chosen), source.kind == ListKind::range ? ListKind::list : source.kind);
  }
  fail(say({"'", type_name(object), "' object cannot be sliced"}));
}

Args Machine::arguments(const CallArguments& source) {
  Args args;
  args.positional = evaluate_all(source.positional);
  for (const auto& [name, expression] : source.named) args.named.emplace_back(name, evaluate(*expression));
  if (source.star) {
    for (Value& value : items(evaluate(*source.star))) args.positional.push_back(std::move(value));
  }
  if (source.star_star) {
    const Value rest = evaluate(*source.star_star);
    if (!rest.is_dict()) fail(say({"argument after ** must be a mapping, not ", type_name(rest)}));
    for (const auto& [key, value] : rest.as<DictPtr>()->entries) args.named.emplace_back(text_of(*this, key), value);
  }
  return args;
}

Value Machine::evaluate_call(const Expression& expression, const Value* caller) {
  const Value callee = evaluate(*expression.kids[0]);
  Args args = arguments(expression.arguments);
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  line_ = expression.line;
  return call(callee, args);
}

Value Machine::filter_captured(const Expression& expression, const Value& captured) {
  return apply_filter(expression, expression.kids[0] ? filter_captured(*expression.kids[0], captured) : captured);
}

Value Machine::apply_filter(const Expression& expression, const Value& input) {
  Args args = arguments(expression.arguments);
  line_ = expression.line;
  const Filter filter = find_filter(expression.name);
  if (filter == nullptr) fail(say({"no filter is named '", expression.name, "'"}));
  return filter(*this, input, args);
}

bool Machine::apply_test(const Expression& expression, const Value& input) {
  Args args = arguments(expression.arguments);
  line_ = expression.line;
  const Test test = find_test(expression.name);
  if (test == nullptr) fail(say({"no test is named '", expression.name, "'"}));
  return test(*this, input, args);
}

}  // namespace troupe::jinja
