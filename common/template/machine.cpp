#include "common/template/machine.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/template/text.hpp"

namespace troupe::jinja {

namespace {

constexpr std::size_t kBytesPerStep = 64, kNamesPerStep = 16;

}  // namespace

void Scope::set(const std::string& name, Value value) {
  const auto known = std::find_if(names.begin(), names.end(), [&](const auto& row) { return row.first == name; });
  if (known != names.end()) {
    known->second = std::move(value);
  } else {
    names.emplace_back(name, std::move(value));
  }
}

const Value* Scope::find(std::string_view name, std::size_t& looked_at) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    for (const auto& [known, value] : scope->names) {
      ++looked_at;
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Machine::define(const std::string& name, Value value) {
  step(scope_->names.size() / kNamesPerStep);
  scope_->set(name, std::move(value));
}

Value Machine::lookup(const std::string& name) {
  std::size_t looked_at = 0;
  const Value* const found = scope_->find(name, looked_at);
  step(looked_at / kNamesPerStep);
  return found != nullptr ? *found : undefined(say({"'", name, "' is undefined"}));
}

Machine::~Machine() {
  // Rings (a namespace that holds itself, a macro in the scope it keeps) come apart here, while all their members are still held.
  std::vector<decltype(Scope::names)> names;
  std::vector<decltype(Namespace::attributes)> attributes;
  for (const auto& scope : captured_scopes_) names.push_back(std::move(scope->names));
  for (const auto& space : namespaces_) attributes.push_back(std::move(space->attributes));
}

void Machine::step(std::size_t count) {
  steps_ += count;
  if (steps_ > limits_.steps) fail(say({"the template took more than ", std::to_string(limits_.steps), " steps"}));
}

void Machine::fits(std::size_t bytes) const {
  if (bytes > limits_.output_bytes) fail(say({"a text grew over ", std::to_string(limits_.output_bytes), " bytes"}));
}

void Machine::grow(std::size_t bytes) {
  fits(bytes);
  step(bytes / kBytesPerStep);
}

void Machine::fail_depth() const { fail(say({"nested deeper than ", std::to_string(limits_.depth), " while running"})); }

void Machine::write(std::string_view bytes) {
  fits(out_->size() + bytes.size());
  step(bytes.size() / kBytesPerStep);
  *out_ += bytes;
}

Value Machine::text(std::string bytes, bool markup) {
  grow(bytes.size());
  return Value(std::make_shared<const Text>(Text{std::move(bytes), markup}));
}

namespace {

std::size_t depth_of(const Value& value) {
  if (value.is_list()) return value.as<ListPtr>()->depth;
  if (value.is_dict()) return value.as<DictPtr>()->depth;
  return 0;
}

}  // namespace

Value Machine::list(Values values, ListKind kind) {
  step(values.size() / 4);
  auto made = std::make_shared<List>();
  for (const Value& value : values) made->depth = std::max(made->depth, depth_of(value) + 1);
  if (made->depth > limits_.depth) fail(say({"a value is nested deeper than ", std::to_string(limits_.depth)}));
  made->items = std::move(values);
  made->kind = kind;
  return Value(ListPtr(std::move(made)));
}

Value Machine::dict(std::vector<std::pair<Value, Value>> entries) {
  constexpr std::size_t kIndexedFrom = 9;
  step(entries.size() / 4);
  auto made = std::make_shared<Dict>();
  std::unordered_map<std::string, std::size_t> index;
  for (auto& [key, value] : entries) {
    made->depth = std::max({made->depth, depth_of(key) + 1, depth_of(value) + 1});
    const auto [row, fresh] = index.emplace(hash_key(*this, key), made->entries.size());
    if (fresh) {
      made->entries.emplace_back(std::move(key), std::move(value));
    } else {
      made->entries[row->second].second = std::move(value);
    }
  }
  if (made->depth > limits_.depth) fail(say({"a value is nested deeper than ", std::to_string(limits_.depth)}));
  if (made->entries.size() >= kIndexedFrom) made->index = std::move(index);
  return Value(DictPtr(std::move(made)));
}

Value Machine::function(std::string name, std::function<Value(Machine&, Args&)> run, bool macro) const {
  return Value(CallablePtr(std::make_shared<const Callable>(Callable{std::move(name), macro, std::move(run)})));
}

Value Machine::undefined(std::string reason) const {
  return Value(Undefined{std::make_shared<const std::string>(std::move(reason))});
}

Value Machine::space(std::vector<std::pair<std::string, Value>> attributes) {
  auto made = std::make_shared<Namespace>(Namespace{std::move(attributes)});
  namespaces_.push_back(made);
  return Value(NamespacePtr(std::move(made)));
}

Value Machine::from_json(const nlohmann::ordered_json& json, std::size_t depth) {
  using Json = nlohmann::ordered_json;
  if (depth > limits_.depth) fail(say({"the context is nested deeper than ", std::to_string(limits_.depth)}));
  switch (json.type()) {
    case Json::value_t::boolean: return Value(json.get<bool>());
    case Json::value_t::number_integer: return Value(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(INT64_MAX)) return Value(static_cast<double>(number));
      return Value(static_cast<std::int64_t>(number));
    }
    case Json::value_t::number_float: return Value(json.get<double>());
    case Json::value_t::string: return text(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      Values values;
      values.reserve(json.size());
      for (const auto& item : json) values.push_back(from_json(item, depth + 1));
      return list(std::move(values));
    }
    case Json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, value] : json.items()) entries.emplace_back(text(key), from_json(value, depth + 1));
      return dict(std::move(entries));
    }
    default: return Value(None{});
  }
}

Values Machine::items(const Value& value) {
  if (value.is_undefined()) return {};
  Values out;
  if (value.is_list()) {
    List& source = *value.as<ListPtr>();
    if (!source.broken.empty()) fail(source.broken);
    step(source.items.size() / 4);
    if (source.kind != ListKind::iterator) return source.items;
    out.assign(source.items.begin() + static_cast<std::ptrdiff_t>(source.next), source.items.end());
    source.next = source.items.size();
  } else if (value.is_dict()) {
    const auto& entries = value.as<DictPtr>()->entries;
    step(entries.size() / 4);
    for (const auto& row : entries) out.push_back(row.first);
  } else if (value.is_text()) {
    const std::string& bytes = value.bytes();
    step(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t start = at;
      (void)next_point(bytes, at);
      out.push_back(text(bytes.substr(start, at - start)));
    }
  } else if (value.is<LoopPtr>()) {
    fail("a loop cannot be iterated");
  } else {
    fail(say({"'", type_name(value), "' object is not iterable"}));
  }
  return out;
}

Value Machine::call(const Value& callee, Args& args) {
  step();
  if (callee.is<CallablePtr>()) {
    const CallablePtr held = callee.as<CallablePtr>();
    return held->run(*this, args);
  }
  if (callee.is<LoopPtr>()) {
    const LoopPtr loop = callee.as<LoopPtr>();
    if (!loop->recurse) fail("the loop must be marked recursive to be called");
    return loop->recurse(*this, args);
  }
  if (callee.is_undefined()) fail(callee.as<Undefined>().reason ? *callee.as<Undefined>().reason : "the value is undefined");
  fail(say({"'", type_name(callee), "' object is not callable"}));
}

void Machine::remember_scope(const ScopePtr& scope) {
  if (captured_scopes_.empty() || captured_scopes_.back() != scope) captured_scopes_.push_back(scope);
}

void Machine::import_context(const nlohmann::ordered_json& context) {
  if (!context.is_object()) fail("the context is no JSON object");
  std::optional<std::string> fixed_time;
  auto globals = std::make_shared<Scope>();
  scope_ = std::make_shared<Scope>();
  scope_->parent = globals;
  for (const auto& [key, value] : context.items()) {
    if (key == "strftime_now" && value.is_string()) {
      fixed_time = value.get<std::string>();
    } else {
      scope_->names.emplace_back(key, from_json(value));  // the keys of an object differ
    }
  }
  add_globals(*this, *globals, std::move(fixed_time));
  steps_ = 0;  // the caller bounds the context; the budget is for what the template does with it
}

std::string Machine::render(const Body& body, const nlohmann::ordered_json& context) {
  import_context(context);
  auto outermost = std::make_shared<Scope>();
  outermost->parent = scope_;
  scope_ = std::move(outermost);
  std::string out;
  out_ = &out;
  (void)run(body);
  return out;
}

}  // namespace troupe::jinja
