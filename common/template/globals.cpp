// The functions every template may call.
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "common/template/arguments.hpp"
#include "common/template/machine.hpp"

namespace troupe::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as the sandbox of jinja2

Value make_range(Machine& machine, Args& args) {
  if (!args.named.empty() || args.positional.empty() || args.positional.size() > 3) machine.fail("range takes one to three arguments");
  const auto number = [&](std::size_t i) { return whole_number(machine, args.positional[i]); };
  const bool bounded = args.positional.size() > 1;
  const std::int64_t start = bounded ? number(0) : 0, stop = bounded ? number(1) : number(0);
  const std::int64_t stride = args.positional.size() == 3 ? number(2) : 1;
  if (stride == 0) machine.fail("range() arg 3 must not be zero");
  Values values;
  for (std::int64_t at = start; stride > 0 ? at < stop : at > stop;) {
    machine.step();
    values.emplace_back(at);
    if (values.size() > static_cast<std::size_t>(kMaxRange)) machine.fail(say({"a range is longer than ", std::to_string(kMaxRange)}));
    if (__builtin_add_overflow(at, stride, &at)) break;
  }
  const Value range = machine.list(std::move(values), ListKind::range);
  range.as<ListPtr>()->spelling =
      "range(" + std::to_string(start) + ", " + std::to_string(stop) + (stride == 1 ? ")" : ", " + std::to_string(stride) + ")");
  return range;
}

/// What dict() and namespace() take: one mapping or one iterable of pairs, then keywords.
std::vector<std::pair<Value, Value>> gather(Machine& machine, Args& args) {
  if (args.positional.size() > 1) machine.fail("takes at most one positional argument");
  std::vector<std::pair<Value, Value>> entries;
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is_dict()) {
      entries = source.as<DictPtr>()->entries;
    } else {
      for (const Value& pair : machine.items(source)) {
        const Values both = machine.items(pair);
        if (both.size() != 2) machine.fail("a dict is made of pairs");
        entries.emplace_back(both[0], both[1]);
      }
    }
  }
  for (auto& [name, value] : args.named) entries.emplace_back(machine.text(name), std::move(value));
  return entries;
}

Value make_namespace(Machine& machine, Args& args) {
  const Value gathered = machine.dict(gather(machine, args));
  std::vector<std::pair<std::string, Value>> attributes;
  for (const auto& [key, value] : gathered.as<DictPtr>()->entries) attributes.emplace_back(text_of(machine, key), value);
  return machine.space(std::move(attributes));
}

Value raise_exception(Machine& machine, Args& args) {
  const auto [message] = bind(machine, args, {"message"});
  machine.fail(str(machine, required(machine, message, "message")));
}

std::tm moment(Machine& machine, const std::optional<std::string>& fixed) {
  std::tm time{};
  if (fixed) {
    const int read = std::sscanf(fixed->c_str(), "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
                                 &time.tm_min, &time.tm_sec);
    if (read != 3 && read != 6) machine.fail("the context's strftime_now is no time like 2024-07-26T09:30:00");
    time.tm_year -= 1900;
    time.tm_mon -= 1;
    (void)timegm(&time);  // fills in the day of the week and of the year
    return time;
  }
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  (void)localtime_r(&now, &time);
  return time;
}

Value strftime_now(Machine& machine, Args& args, const std::optional<std::string>& fixed) {
  const auto [format] = bind(machine, args, {"format"});
  const std::string& wanted = text_of(machine, required(machine, format, "format"));
  if (wanted.empty()) return machine.text({});
  std::string kept;
  for (std::size_t i = 0; i < wanted.size(); ++i) {  // a naive datetime has no zone, and microseconds are not C's
    const char next = wanted[i] == '%' && i + 1 < wanted.size() ? wanted[i + 1] : '\0';
    if (next == 'z' || next == 'Z' || next == 'f') {
      kept += next == 'f' ? "000000" : "";
      ++i;
    } else {
      kept += wanted[i];
      if (next != '\0') kept += wanted[++i];
    }
  }
  const std::tm time = moment(machine, fixed);
  std::array<char, 4096> buffer{};
  kept += '.';  // so that an empty result differs from one that does not fit
  const std::size_t size = std::strftime(buffer.data(), buffer.size(), kept.c_str(), &time);
  if (size == 0) machine.fail("a formatted time is too long");
  return machine.text(std::string(buffer.data(), size - 1));
}

Value make_joiner(Machine& machine, Args& args) {
  const auto [separator] = bind(machine, args, {"sep"});
  const Value between = separator != nullptr ? *separator : machine.text(", ");
  return machine.function("joiner", [between, used = std::make_shared<bool>(false)](Machine& inside, Args& none) {
    bind_nothing(inside, none);
    return std::exchange(*used, true) ? between : inside.text({});
  });
}

}  // namespace

void add_globals(Machine& machine, Scope& scope, std::optional<std::string> fixed_time) {
  const auto add = [&](const char* name, std::function<Value(Machine&, Args&)> run) { scope.set(name, machine.function(name, std::move(run))); };
  add("range", make_range);
  add("dict", [](Machine& inside, Args& args) { return inside.dict(gather(inside, args)); });
  add("namespace", make_namespace);
  add("raise_exception", raise_exception);
  add("joiner", make_joiner);
  add("strftime_now", [fixed = std::move(fixed_time)](Machine& inside, Args& args) { return strftime_now(inside, args, fixed); });
}

}  // namespace troupe::jinja
