#pragma once
// One rendering: the budget, the making of values under it, and the running of the tree.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/template/ast.hpp"
#include "common/template/chat_template.hpp"
#include "common/template/value.hpp"

namespace troupe::jinja {

/// Names and what they hold. A macro keeps the scope it was defined in.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;

  void set(const std::string& name, Value value);
  [[nodiscard]] const Value* find(std::string_view name, std::size_t& looked_at) const;  ///< here and outwards
};

enum class Flow : std::uint8_t { onward, stopped, proceeding };

class Machine {
 public:
  explicit Machine(const TemplateLimits& limits) : limits_(limits) {}
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Throws Fault.
  [[nodiscard]] std::string render(const Body& body, const nlohmann::ordered_json& context);

  [[noreturn]] void fail(std::string reason) const { throw Fault{line_, std::move(reason)}; }
  /// Spends the budget; passing it is a fault.
  void step(std::size_t count = 1);
  /// Before `bytes` of text are made: no string over the limit, and long ones cost steps.
  void grow(std::size_t bytes);
  void fits(std::size_t bytes) const;  ///< the limit alone, for text that grows piece by piece
  [[nodiscard]] Value text(std::string bytes, bool markup = false);
  [[nodiscard]] Value list(Values items, ListKind kind = ListKind::list);
  [[nodiscard]] Value dict(std::vector<std::pair<Value, Value>> entries);  ///< a later equal key replaces the value
  [[nodiscard]] Value function(std::string name, std::function<Value(Machine&, Args&)> run, bool macro = false) const;
  [[nodiscard]] Value undefined(std::string reason) const;
  [[nodiscard]] Value space(std::vector<std::pair<std::string, Value>> attributes);
  [[nodiscard]] Value from_json(const nlohmann::ordered_json& json, std::size_t depth = 0);

  /// Everything an iterable holds; what an iterator gives, it gives once.
  [[nodiscard]] Values items(const Value& value);
  [[nodiscard]] Value call(const Value& callee, Args& args);

  [[nodiscard]] int line() const { return line_; }

  /// Guards what recurses over values or over the tree.
  class Deeper {
   public:
    explicit Deeper(Machine& machine) : machine_(machine) {
      if (++machine_.nesting_ > machine_.limits_.depth * 10) machine_.fail_depth();
    }
    ~Deeper() { --machine_.nesting_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Machine& machine_;
  };

  // evaluate.cpp
  [[nodiscard]] Value evaluate(const Expression& expression);

 private:
  friend class Deeper;
  using ScopePtr = std::shared_ptr<Scope>;
  class Entered;
  class Captured;

  [[noreturn]] void fail_depth() const;
  void write(std::string_view bytes);
  void define(const std::string& name, Value value);
  [[nodiscard]] Value lookup(const std::string& name);
  void remember_scope(const ScopePtr& scope);
  void import_context(const nlohmann::ordered_json& context);

  // evaluate.cpp
  Value evaluate_item(const Expression& expression);
  Value evaluate_slice(const Value& object, const Expression& slice);
  Value evaluate_call(const Expression& expression, const Value* caller);
  Value evaluate_arithmetic(const Expression& expression);
  Value evaluate_compare(const Expression& expression);
  Value evaluate_dict(const Expression& expression);
  Value apply_filter(const Expression& expression, const Value& input);
  Value filter_captured(const Expression& expression, const Value& captured);  ///< a chain whose innermost filter has no input of its own
  bool apply_test(const Expression& expression, const Value& input);
  Args arguments(const CallArguments& arguments);
  Values evaluate_all(const std::vector<ExpressionPtr>& expressions);

  // execute.cpp
  Flow run(const Body& body);
  Flow run(const Statement& statement);
  Flow run_branch(const Statement& statement);
  Flow run_loop(const Statement& statement);
  Flow run_loop_over(const Statement& statement, const Value& iterable, std::size_t depth);
  Value loop_object(const Statement& statement, const std::shared_ptr<Loop>& loop);
  Flow run_with(const Statement& statement);
  Flow run_filter_block(const Statement& statement);
  Flow run_assign_block(const Statement& statement);
  void assign(const Target& target, Value value);
  Value make_macro(const std::string& name, const Signature& signature, const Body& body);
  Value call_macro(const std::string& name, const Signature& signature, const Body& body, const ScopePtr& defined_in, Args& args);
  void bind_macro(const std::string& name, const Signature& signature, Args& args);

  const TemplateLimits& limits_;
  std::size_t steps_ = 0;
  std::size_t nesting_ = 0;
  std::size_t calls_ = 0;
  int line_ = 0;
  ScopePtr scope_;
  std::string* out_ = nullptr;
  // What can hold itself in a ring: emptied when the rendering ends.
  std::vector<NamespacePtr> namespaces_;
  std::vector<ScopePtr> captured_scopes_;
};

/// One `for` in progress: what the template sees as `loop`. Items are taken as they are needed, for the loop's filter may depend on what the
/// body sets.
struct Loop {
  Values source;
  std::size_t taken = 0;                        ///< of `source`
  std::function<bool(const Value&)> accepts;    ///< the loop's filter; may be empty
  std::int64_t index0 = -1;
  std::size_t depth0 = 0;
  std::optional<Value> before, current, after;  ///< `after` once somebody looked ahead
  std::int64_t filtered = 0;                    ///< items that passed before `source` was cut to the rest
  std::optional<Values> changed;
  std::function<Value(Machine&, Args&)> recurse;

  [[nodiscard]] std::optional<Value> take();
  [[nodiscard]] const std::optional<Value>& peek();
  bool advance();
  [[nodiscard]] std::int64_t length();
};

// access.cpp: what stands behind a dot or in brackets
[[nodiscard]] Value get_attribute(Machine& machine, const Value& object, const std::string& name);
[[nodiscard]] Value get_item(Machine& machine, const Value& object, const Value& key);
/// "a.b.0" step by step, as the filters' `attribute` argument; `otherwise`, where given, stands for each step that finds nothing.
[[nodiscard]] Value get_path(Machine& machine, const Value& object, const Value& path, const Value* otherwise = nullptr);
[[nodiscard]] const Value* find_key(Machine& machine, const Dict& dict, const Value& key);
[[nodiscard]] Value loop_attribute(Machine& machine, const LoopPtr& loop, const std::string& name);

// methods_text.cpp, methods_container.cpp: null when the type has no such method
[[nodiscard]] Value text_method(Machine& machine, const Value& self, const std::string& name);
[[nodiscard]] Value container_method(Machine& machine, const Value& self, const std::string& name);

// operators.cpp
[[nodiscard]] Value apply(Machine& machine, Operator op, const Value& left, const Value& right);
[[nodiscard]] bool compare(Machine& machine, Operator op, const Value& left, const Value& right);
[[nodiscard]] bool equal(Machine& machine, const Value& left, const Value& right);
[[nodiscard]] bool less(Machine& machine, const Value& left, const Value& right);
[[nodiscard]] bool contains(Machine& machine, const Value& container, const Value& item);
/// Equal keys, and only they, have equal spellings; unhashable values fail.
[[nodiscard]] std::string hash_key(Machine& machine, const Value& value);
[[nodiscard]] Values sorted(Machine& machine, const Values& values, const Values& keys, bool reverse);

// print.cpp
[[nodiscard]] std::string str(Machine& machine, const Value& value);
[[nodiscard]] std::string repr(Machine& machine, const Value& value);
/// soft_str: text stays what it is, markup included.
[[nodiscard]] TextPtr soft_text(Machine& machine, const Value& value);

// json.cpp
struct JsonStyle {
  bool ascii = false, sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ", key_separator = ": ";
};
[[nodiscard]] std::string to_json(Machine& machine, const Value& value, const JsonStyle& style);

// format.cpp
[[nodiscard]] std::string format_percent(Machine& machine, const std::string& format, const Value& arguments);
[[nodiscard]] std::string format_braces(Machine& machine, const std::string& format, const Args& args);

// globals.cpp
void add_globals(Machine& machine, Scope& scope, std::optional<std::string> fixed_time);

}  // namespace troupe::jinja
