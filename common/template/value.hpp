#pragma once
// The values a template computes with: Python's, as far as a chat template can see them. Everything but namespaces, iterators and loops is
// immutable, so copies share.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::jinja {

class Machine;
class Value;

struct None {};

/// What a missing name, attribute or item gives: prints as nothing, is false, iterates as empty; any other use fails with `reason`.
struct Undefined {
  std::shared_ptr<const std::string> reason;
};

/// UTF-8; positions are counted in code points. `markup` is what the `safe` and `escape` filters set: `+` escapes the other side.
struct Text {
  std::string bytes;
  bool markup = false;
};

enum class ListKind : std::uint8_t { list, tuple, range, keys, values, items, iterator };

struct List;
struct Dict;
struct Callable;
struct Namespace;
struct Loop;
using TextPtr = std::shared_ptr<const Text>;
using ListPtr = std::shared_ptr<List>;
using DictPtr = std::shared_ptr<const Dict>;
using CallablePtr = std::shared_ptr<const Callable>;
using NamespacePtr = std::shared_ptr<Namespace>;
using LoopPtr = std::shared_ptr<Loop>;

class Value {
 public:
  using Store = std::variant<Undefined, None, bool, std::int64_t, double, TextPtr, ListPtr, DictPtr, CallablePtr, NamespacePtr, LoopPtr>;

  Value() = default;
  template <class T>
    requires(std::is_same_v<T, Undefined> || std::is_same_v<T, None> || std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> ||
             std::is_same_v<T, double> || std::is_same_v<T, TextPtr> || std::is_same_v<T, ListPtr> || std::is_same_v<T, DictPtr> ||
             std::is_same_v<T, CallablePtr> || std::is_same_v<T, NamespacePtr> || std::is_same_v<T, LoopPtr>)
  Value(T value) : store_(std::move(value)) {}  // NOLINT(google-explicit-constructor): a value is what it holds

  template <class T>
  [[nodiscard]] bool is() const { return std::holds_alternative<T>(store_); }
  template <class T>
  [[nodiscard]] const T& as() const { return std::get<T>(store_); }

  [[nodiscard]] bool is_undefined() const { return is<Undefined>(); }
  [[nodiscard]] bool is_none() const { return is<None>(); }
  [[nodiscard]] bool is_text() const { return is<TextPtr>(); }
  [[nodiscard]] bool is_list() const { return is<ListPtr>(); }
  [[nodiscard]] bool is_dict() const { return is<DictPtr>(); }
  [[nodiscard]] bool is_number() const { return is<bool>() || is<std::int64_t>() || is<double>(); }
  [[nodiscard]] bool is_whole() const { return is<bool>() || is<std::int64_t>(); }  ///< Python's bool is an int
  [[nodiscard]] const std::string& bytes() const { return as<TextPtr>()->bytes; }
  [[nodiscard]] std::int64_t whole() const { return is<bool>() ? (as<bool>() ? 1 : 0) : as<std::int64_t>(); }
  [[nodiscard]] double real() const { return is<double>() ? as<double>() : static_cast<double>(whole()); }

 private:
  Store store_;
};

using Values = std::vector<Value>;

struct List {
  Values items;
  ListKind kind = ListKind::list;
  std::size_t depth = 1;   ///< of nested lists and dicts; bounded when made, so walking and freeing never recurse deeper
  std::size_t next = 0;    ///< iterator: what has been taken
  std::string broken;      ///< iterator: the error its making met, raised when it is used (generators are lazy)
  std::string spelling;    ///< range: its repr
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;        ///< in order of insertion
  std::unordered_map<std::string, std::size_t> index;  ///< hash_key to position
  std::size_t depth = 1;
};

struct Args {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  bool macro = false;
  std::function<Value(Machine&, Args&)> run;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

[[nodiscard]] std::string_view type_name(const Value& value);  ///< as Python says it: "str", "NoneType", ...
[[nodiscard]] bool truthy(const Value& value);

}  // namespace troupe::jinja
