// Arithmetic, comparison, membership and order, as Python has them; integers end at 64 bits, where Python's go on, with an error.
#include <algorithm>
#include <cmath>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

[[noreturn]] void unsupported(Machine& machine, std::string_view sign, const Value& left, const Value& right) {
  for (const Value* const side : {&left, &right}) {
    if (side->is_undefined() && side->as<Undefined>().reason) machine.fail(*side->as<Undefined>().reason);
  }
  machine.fail(say({"unsupported operand types for ", sign, ": '", type_name(left), "' and '", type_name(right), "'"}));
}

Value checked(Machine& machine, bool overflow, std::int64_t value) {
  if (overflow) machine.fail("an integer grew over 64 bits");
  return Value(value);
}

bool is_sequence(const Value& value) { return value.is_list() && value.as<ListPtr>()->kind <= ListKind::tuple; }

Value repeat(Machine& machine, const Value& value, std::int64_t count) {
  const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  const std::size_t size = value.is_text() ? value.bytes().size() : value.as<ListPtr>()->items.size();
  std::size_t total = 0;
  if (__builtin_mul_overflow(size, times, &total)) machine.fail("a repetition is too long");
  if (value.is_text()) {
    machine.grow(total);
    std::string out;
    out.reserve(total);
    for (std::size_t i = 0; size > 0 && i < times; ++i) out += value.bytes();
    return machine.text(std::move(out), value.as<TextPtr>()->markup);
  }
  machine.step(total);
  Values out;
  for (std::size_t i = 0; size > 0 && i < times; ++i) out.insert(out.end(), value.as<ListPtr>()->items.begin(), value.as<ListPtr>()->items.end());
  return machine.list(std::move(out), value.as<ListPtr>()->kind);
}

Value add(Machine& machine, const Value& left, const Value& right) {
  if (left.is_whole() && right.is_whole()) {
    std::int64_t sum = 0;
    const bool overflow = __builtin_add_overflow(left.whole(), right.whole(), &sum);
    return checked(machine, overflow, sum);
  }
  if (left.is_number() && right.is_number()) return Value(left.real() + right.real());
  if (left.is_text() && right.is_text()) {
    const Text &a = *left.as<TextPtr>(), &b = *right.as<TextPtr>();
    machine.fits(a.bytes.size() + b.bytes.size());
    if (a.markup == b.markup) return machine.text(a.bytes + b.bytes, a.markup);
    return machine.text(a.markup ? a.bytes + escape_html(b.bytes) : escape_html(a.bytes) + b.bytes, true);
  }
  if (is_sequence(left) && is_sequence(right) && left.as<ListPtr>()->kind == right.as<ListPtr>()->kind) {
    Values joined = left.as<ListPtr>()->items;
    joined.insert(joined.end(), right.as<ListPtr>()->items.begin(), right.as<ListPtr>()->items.end());
    return machine.list(std::move(joined), left.as<ListPtr>()->kind);
  }
  unsupported(machine, "+", left, right);
}

Value multiply(Machine& machine, const Value& left, const Value& right) {
  if (left.is_whole() && right.is_whole()) {
    std::int64_t product = 0;
    const bool overflow = __builtin_mul_overflow(left.whole(), right.whole(), &product);
    return checked(machine, overflow, product);
  }
  if (left.is_number() && right.is_number()) return Value(left.real() * right.real());
  if ((left.is_text() || is_sequence(left)) && right.is_whole()) return repeat(machine, left, right.whole());
  if ((right.is_text() || is_sequence(right)) && left.is_whole()) return repeat(machine, right, left.whole());
  unsupported(machine, "*", left, right);
}

double floor_mod(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest == 0 ? std::copysign(0.0, b) : rest;
}

Value divide(Machine& machine, Operator op, const Value& left, const Value& right) {
  if (!left.is_number() || !right.is_number()) unsupported(machine, op == Operator::div ? "/" : op == Operator::mod ? "%" : "//", left, right);
  if (right.real() == 0) machine.fail("division by zero");
  if (op == Operator::div) return Value(left.real() / right.real());
  if (left.is_whole() && right.is_whole()) {
    const std::int64_t a = left.whole(), b = right.whole();
    if (b == -1) return op == Operator::mod ? Value(std::int64_t{0}) : checked(machine, a == INT64_MIN, a == INT64_MIN ? 0 : -a);
    const std::int64_t rest = a % b;
    const bool uneven = rest != 0 && (rest < 0) != (b < 0);
    return op == Operator::mod ? Value(uneven ? rest + b : rest) : Value(uneven ? a / b - 1 : a / b);
  }
  const double a = left.real(), b = right.real();
  if (op == Operator::mod) return Value(floor_mod(a, b));
  return Value(std::round((a - floor_mod(a, b)) / b));
}

Value power(Machine& machine, const Value& left, const Value& right) {
  if (!left.is_number() || !right.is_number()) unsupported(machine, "**", left, right);
  if (left.is_whole() && right.is_whole() && right.whole() >= 0) {
    std::int64_t result = 1, base = left.whole();
    for (std::int64_t rest = right.whole(); rest > 0; rest >>= 1) {
      if ((rest & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return checked(machine, true, 0);
      if (rest > 1 && __builtin_mul_overflow(base, base, &base)) return checked(machine, true, 0);
    }
    return Value(result);
  }
  if (left.real() == 0 && right.real() < 0) machine.fail("zero cannot be raised to a negative power");
  const double result = std::pow(left.real(), right.real());
  if (std::isnan(result) || std::isinf(result)) machine.fail("the power is out of range");
  return Value(result);
}

bool equal_lists(Machine& machine, const List& left, const List& right) {
  if (left.kind != right.kind || left.items.size() != right.items.size()) return false;
  if (left.kind == ListKind::iterator || left.kind == ListKind::values) return &left == &right;
  for (std::size_t i = 0; i < left.items.size(); ++i) {
    if (!equal(machine, left.items[i], right.items[i])) return false;
  }
  return true;
}

bool equal_dicts(Machine& machine, const Dict& left, const Dict& right) {
  if (left.entries.size() != right.entries.size()) return false;
  for (const auto& [key, value] : left.entries) {
    const Value* const other = find_key(machine, right, key);
    if (other == nullptr || !equal(machine, value, *other)) return false;
  }
  return true;
}

}  // namespace

Value apply(Machine& machine, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::add: return add(machine, left, right);
    case Operator::sub:
      if (left.is_whole() && right.is_whole()) {
        std::int64_t difference = 0;
        const bool overflow = __builtin_sub_overflow(left.whole(), right.whole(), &difference);
        return checked(machine, overflow, difference);
      }
      if (!left.is_number() || !right.is_number()) unsupported(machine, "-", left, right);
      return Value(left.real() - right.real());
    case Operator::mul: return multiply(machine, left, right);
    case Operator::mod:
      if (left.is_text()) return machine.text(format_percent(machine, left.bytes(), right), left.as<TextPtr>()->markup);
      return divide(machine, op, left, right);
    case Operator::pow: return power(machine, left, right);
    case Operator::div:
    case Operator::floordiv: return divide(machine, op, left, right);
    default: return Value(compare(machine, op, left, right));
  }
}

bool compare(Machine& machine, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::eq: return equal(machine, left, right);
    case Operator::ne: return !equal(machine, left, right);
    case Operator::lt: return less(machine, left, right);
    case Operator::gt: return less(machine, right, left);
    case Operator::le: return less(machine, left, right) || equal(machine, left, right);
    case Operator::ge: return less(machine, right, left) || equal(machine, left, right);
    case Operator::in: return contains(machine, right, left);
    case Operator::not_in: return !contains(machine, right, left);
    default: return false;
  }
}

bool equal(Machine& machine, const Value& left, const Value& right) {
  const Machine::Deeper deeper(machine);
  machine.step();
  if (left.is_number() && right.is_number()) {
    return left.is_whole() && right.is_whole() ? left.whole() == right.whole() : left.real() == right.real();
  }
  if (left.is_text() && right.is_text()) {
    machine.step(std::min(left.bytes().size(), right.bytes().size()) / 64);
    return left.bytes() == right.bytes();
  }
  if (left.is_list() && right.is_list()) return equal_lists(machine, *left.as<ListPtr>(), *right.as<ListPtr>());
  if (left.is_dict() && right.is_dict()) return equal_dicts(machine, *left.as<DictPtr>(), *right.as<DictPtr>());
  if (left.is_none() || left.is_undefined()) return left.is_none() ? right.is_none() : right.is_undefined();
  if (left.is<CallablePtr>() && right.is<CallablePtr>()) return left.as<CallablePtr>() == right.as<CallablePtr>();
  if (left.is<NamespacePtr>() && right.is<NamespacePtr>()) return left.as<NamespacePtr>() == right.as<NamespacePtr>();
  if (left.is<LoopPtr>() && right.is<LoopPtr>()) return left.as<LoopPtr>() == right.as<LoopPtr>();
  return false;
}

bool less(Machine& machine, const Value& left, const Value& right) {
  const Machine::Deeper deeper(machine);
  machine.step();
  if (left.is_number() && right.is_number()) {
    return left.is_whole() && right.is_whole() ? left.whole() < right.whole() : left.real() < right.real();
  }
  if (left.is_text() && right.is_text()) {
    machine.step(std::min(left.bytes().size(), right.bytes().size()) / 64);
    return left.bytes() < right.bytes();
  }
  if (is_sequence(left) && is_sequence(right) && left.as<ListPtr>()->kind == right.as<ListPtr>()->kind) {
    const Values &a = left.as<ListPtr>()->items, &b = right.as<ListPtr>()->items;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (!equal(machine, a[i], b[i])) return less(machine, a[i], b[i]);
    }
    return a.size() < b.size();
  }
  unsupported(machine, "comparison", left, right);
}

bool contains(Machine& machine, const Value& container, const Value& item) {
  if (container.is_text()) {
    machine.step(container.bytes().size() / 64);
    return find_bytes(container.bytes(), text_of(machine, item), 0) != std::string::npos;
  }
  if (container.is_dict()) return find_key(machine, *container.as<DictPtr>(), item) != nullptr;
  for (const Value& known : machine.items(container)) {
    if (equal(machine, known, item)) return true;
  }
  return false;
}

std::string hash_key(Machine& machine, const Value& value) {
  const Machine::Deeper deeper(machine);
  machine.step();
  if (value.is_text()) {
    machine.step(value.bytes().size() / 64);
    return say({"s", value.bytes()});
  }
  if (value.is_whole()) return say({"n", std::to_string(value.whole())});
  if (value.is<double>()) {
    const double real = value.as<double>();
    const bool whole = std::abs(real) < 9e18 && real == std::trunc(real);
    return whole ? say({"n", std::to_string(static_cast<std::int64_t>(real))}) : say({"f", float_repr(real)});
  }
  if (value.is_none()) return "z";
  if (value.is_undefined()) return "u";
  if (value.is_list() && value.as<ListPtr>()->kind == ListKind::tuple) {
    std::string key = "t";
    for (const Value& item : value.as<ListPtr>()->items) {
      const std::string part = hash_key(machine, item);
      key += std::to_string(part.size()) + ":" + part;
      machine.grow(key.size());
    }
    return key;
  }
  if (value.is_list() || value.is_dict()) machine.fail(say({"unhashable type: '", type_name(value), "'"}));
  const void* const identity = value.is<CallablePtr>()    ? static_cast<const void*>(value.as<CallablePtr>().get())
                               : value.is<NamespacePtr>() ? static_cast<const void*>(value.as<NamespacePtr>().get())
                                                          : static_cast<const void*>(value.as<LoopPtr>().get());
  return say({"p", std::to_string(reinterpret_cast<std::uintptr_t>(identity))});
}

Values sorted(Machine& machine, const Values& values, const Values& keys, bool reverse) {
  // A merge sort from the bottom up: stable, and safe for keys whose order makes no sense (nan).
  std::vector<std::size_t> order(values.size()), merged(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t width = 1; width < order.size(); width *= 2) {
    for (std::size_t start = 0; start < order.size(); start += 2 * width) {
      const std::size_t middle = std::min(start + width, order.size()), end = std::min(start + 2 * width, order.size());
      std::size_t a = start, b = middle;
      for (std::size_t at = start; at < end; ++at) {
        const bool second = a == middle || (b < end && (reverse ? less(machine, keys[order[a]], keys[order[b]]) : less(machine, keys[order[b]], keys[order[a]])));
        merged[at] = second ? order[b++] : order[a++];
      }
    }
    order.swap(merged);
  }
  Values out;
  for (const std::size_t at : order) out.push_back(values[at]);
  return out;
}

}  // namespace troupe::jinja
