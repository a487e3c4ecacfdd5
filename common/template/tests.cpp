#include "common/template/tests.hpp"

#include <algorithm>
#include <array>

#include "common/template/arguments.hpp"
#include "common/template/filters.hpp"
#include "common/template/machine.hpp"
#include "common/template/text.hpp"

namespace troupe::jinja {
namespace {

const Value& only(Machine& machine, const Args& args) {
  if (args.positional.size() != 1 || !args.named.empty()) machine.fail("the test takes one argument");
  return args.positional[0];
}

template <Operator op>
bool relation(Machine& machine, const Value& value, Args& args) { return compare(machine, op, value, only(machine, args)); }

std::int64_t remainder(Machine& machine, const Value& value, std::int64_t by) {
  const Value rest = apply(machine, Operator::mod, value, Value(by));
  return rest.is_whole() ? rest.whole() : rest.real() == 0 ? 0 : rest.real() == 1 ? 1 : -1;
}

/// str.islower() and str.isupper(): at least one letter with case, and none of the other case.
bool all_cased(std::string_view bytes, bool upper_wanted) {
  bool any = false;
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t point = next_point(bytes, at);
    if (upper_wanted ? is_lower(point) && !is_upper(point) : is_upper(point)) return false;
    any = any || is_upper(point) || is_lower(point);
  }
  return any;
}

bool same(Machine& machine, const Value& left, const Value& right) {
  if (left.is_list() && right.is_list()) return left.as<ListPtr>() == right.as<ListPtr>();
  if (left.is_dict() && right.is_dict()) return left.as<DictPtr>() == right.as<DictPtr>();
  return type_name(left) == type_name(right) && equal(machine, left, right);
}

bool is_iterable(const Value& value) { return value.is_undefined() || value.is_text() || value.is_list() || value.is_dict() || value.is<LoopPtr>(); }
bool is_sequence(const Value& value) {
  return value.is_undefined() || value.is_text() || value.is_dict() || (value.is_list() && value.as<ListPtr>()->kind <= ListKind::range);
}

using Row = std::pair<std::string_view, Test>;
constexpr auto kTests = std::to_array<Row>({
    {"defined", [](Machine&, const Value& v, Args&) { return !v.is_undefined(); }},
    {"undefined", [](Machine&, const Value& v, Args&) { return v.is_undefined(); }},
    {"none", [](Machine&, const Value& v, Args&) { return v.is_none(); }},
    {"boolean", [](Machine&, const Value& v, Args&) { return v.is<bool>(); }},
    {"true", [](Machine&, const Value& v, Args&) { return v.is<bool>() && v.as<bool>(); }},
    {"false", [](Machine&, const Value& v, Args&) { return v.is<bool>() && !v.as<bool>(); }},
    {"integer", [](Machine&, const Value& v, Args&) { return v.is<std::int64_t>(); }},
    {"float", [](Machine&, const Value& v, Args&) { return v.is<double>(); }},
    {"number", [](Machine&, const Value& v, Args&) { return v.is_number(); }},
    {"string", [](Machine&, const Value& v, Args&) { return v.is_text(); }},
    {"mapping", [](Machine&, const Value& v, Args&) { return v.is_dict(); }},
    {"iterable", [](Machine&, const Value& v, Args&) { return is_iterable(v); }},
    {"sequence", [](Machine&, const Value& v, Args&) { return is_sequence(v); }},
    {"callable", [](Machine&, const Value& v, Args&) { return v.is<CallablePtr>() || v.is<LoopPtr>() || v.is_undefined(); }},
    {"escaped", [](Machine&, const Value& v, Args&) { return v.is_text() && v.as<TextPtr>()->markup; }},
    {"lower", [](Machine& m, const Value& v, Args&) { return all_cased(str(m, v), false); }},
    {"upper", [](Machine& m, const Value& v, Args&) { return all_cased(str(m, v), true); }},
    {"odd", [](Machine& m, const Value& v, Args&) { return remainder(m, v, 2) == 1; }},
    {"even", [](Machine& m, const Value& v, Args&) { return remainder(m, v, 2) == 0; }},
    {"divisibleby", [](Machine& m, const Value& v, Args& a) { return remainder(m, v, whole_number(m, only(m, a))) == 0; }},
    {"sameas", [](Machine& m, const Value& v, Args& a) { return same(m, v, only(m, a)); }},
    {"filter", [](Machine& m, const Value& v, Args&) { return find_filter(text_of(m, v)) != nullptr; }},
    {"test", [](Machine& m, const Value& v, Args&) { return find_test(text_of(m, v)) != nullptr; }},
    {"in", relation<Operator::in>},
    {"==", relation<Operator::eq>}, {"eq", relation<Operator::eq>}, {"equalto", relation<Operator::eq>},
    {"!=", relation<Operator::ne>}, {"ne", relation<Operator::ne>},
    {">", relation<Operator::gt>}, {"gt", relation<Operator::gt>}, {"greaterthan", relation<Operator::gt>},
    {">=", relation<Operator::ge>}, {"ge", relation<Operator::ge>},
    {"<", relation<Operator::lt>}, {"lt", relation<Operator::lt>}, {"lessthan", relation<Operator::lt>},
    {"<=", relation<Operator::le>}, {"le", relation<Operator::le>},
});

}  // namespace

Test find_test(std::string_view name) {
  const auto* const row = std::find_if(kTests.begin(), kTests.end(), [&](const Row& known) { return known.first == name; });
  return row == kTests.end() ? nullptr : row->second;
}

}  // namespace troupe::jinja
