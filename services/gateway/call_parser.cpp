#include "services/gateway/call_parser.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::gateway {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kDeepest = 128;  // brackets of an object that is read as a whole

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view skip_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

bool skip(std::string_view& text, std::string_view expected) {
  text = skip_blanks(text);
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

/// `{"name": "...", "arguments": {`, which is how a call begins if its arguments can be told as they come.
std::optional<std::string_view> name_in_head(std::string_view text) {
  if (!skip(text, "{") || !skip(text, "\"name\"") || !skip(text, ":") || !skip(text, "\""))
    return std::nullopt;
  const auto end = text.find_first_of("\"\\");
  if (end == std::string_view::npos || text[end] == '\\') return std::nullopt;
  const std::string_view name = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!skip(text, ",") || (!skip(text, "\"arguments\"") && !skip(text, "\"parameters\"")))
    return std::nullopt;
  return skip(text, ":") && skip(text, "{") && text.empty() ? std::optional(name) : std::nullopt;
}

/// Keys that a call may begin with: an object with another first key is content at once.
bool may_begin_call(std::string_view object) {
  constexpr std::array<std::string_view, 6> kKeys{"name",     "arguments", "parameters",
                                                  "function", "type",      "id"};
  const auto begin = object.find('"');
  const std::string_view key = object.substr(begin + 1, object.size() - begin - 2);
  return std::ranges::find(kKeys, key) != kKeys.end();
}

struct WholeCall {
  std::string name, arguments;
};

std::optional<WholeCall> read_call(std::string_view text) {
  const Json parsed = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto inner = parsed.find("function");
  const Json& call = inner != parsed.end() && inner->is_object() ? *inner : parsed;
  const auto name = call.find("name");
  if (name == call.end() || !name->is_string()) return std::nullopt;
  for (const char* key : {"arguments", "parameters"}) {
    const auto arguments = call.find(key);
    if (arguments == call.end()) continue;
    if (arguments->is_object()) return WholeCall{name->get<std::string>(), arguments->dump()};
    if (arguments->is_null()) return WholeCall{name->get<std::string>(), "{}"};
    if (!arguments->is_string()) return std::nullopt;
    const auto& spelled =
        arguments->get_ref<const std::string&>();  // JSON in a string, as OpenAI's calls have it
    if (!Json::parse(spelled, nullptr, false).is_object()) return std::nullopt;
    return WholeCall{name->get<std::string>(), spelled};
  }
  return std::nullopt;
}

}  // namespace

void CallParser::Scan::push(char c) {
  if (in_string) {
    if (escaped) {
      escaped = false;
    } else if (c == '\\') {
      escaped = true;
    } else if (c == '"') {
      in_string = false;
      ++strings;
    }
    return;
  }
  if (c == '"') in_string = true;
  if (c == '{' || c == '[') open += c;
  // A bracket that closes nothing is left to whoever reads the arguments.
  if (!open.empty() && ((c == '}' && open.back() == '{') || (c == ']' && open.back() == '[')))
    open.pop_back();
}

CallParser::CallParser(const ToolFormat& format, std::vector<std::string> names)
    : format_(format), names_(std::move(names)) {
  for (const CallMarks& marks : format_.marks) first_bytes_ += marks.begin.front();
}

void CallParser::push(std::string_view text, AnswerParts& out) {
  input_ += text;
  run(out);
}

void CallParser::run(AnswerParts& out) {
  while (at_ < input_.size()) step(input_[at_++], out);
  input_.clear();
  at_ = 0;
}

void CallParser::step(char c, AnswerParts& out) {
  switch (state_) {
    case State::text:
      return in_text(c, out);
    case State::opened:
      return in_opened(c, out);
    case State::object:
      return in_object(c, out);
    case State::arguments:
      return in_arguments(c, out);
    case State::rest:
      return in_rest(c, out);
    case State::extras:
      return in_extras(c, out);
    case State::listed:
      return in_listed(c, out);
    case State::closing:
      return in_closing(c, out);
  }
}

void CallParser::show(char c, AnswerParts& out) {
  if (is_blank(c)) {
    blanks_ += c;
    return;
  }
  has_text_ = true;
  after_call_ = false;
  out.text += blanks_;
  blanks_.clear();
  out.text += c;
}

void CallParser::reject(std::size_t solid, AnswerParts& out) {
  const std::string held = std::exchange(held_, {});
  state_ = State::text;
  list_ = false;
  end_at_ = std::string::npos;
  for (std::size_t i = 0; i < solid; ++i) show(held[i], out);
  input_.replace(0, at_, held, solid, std::string::npos);
  at_ = 0;
}

bool CallParser::is_tool(std::string_view name) const {
  return std::ranges::find(names_, name) != names_.end();
}

void CallParser::in_text(char c, AnswerParts& out) {
  if (held_.empty() && format_.bare && !has_text_ && calls_ == 0 && (c == '{' || c == '[')) {
    end_ = {};
    held_.push_back(c);
    return begin_value(c);
  }
  if (held_.empty() && first_bytes_.find(c) == std::string::npos) return show(c, out);
  held_.push_back(c);
  bool begins_mark = false;
  for (const CallMarks& marks : format_.marks) {
    if (marks.begin == held_) {
      end_ = marks.end;
      state_ = State::opened;
      return;
    }
    begins_mark = begins_mark || marks.begin.starts_with(held_);
  }
  if (!begins_mark) reject(1, out);
}

void CallParser::in_opened(char c, AnswerParts& out) {
  held_.push_back(c);
  if (held_.size() > kMostHeld) return reject(1, out);
  if (is_blank(c)) return;
  if (c == '{' || (c == '[' && !list_)) return begin_value(c);
  reject(1, out);
}

/// `c`, the last byte held, begins an object or a list of them.
void CallParser::begin_value(char c) {
  if (c == '[') {
    list_ = true;
    state_ = State::opened;
    return;
  }
  object_at_ = held_.size() - 1;
  scan_ = {};
  scan_.push(c);
  state_ = State::object;
}

void CallParser::in_object(char c, AnswerParts& out) {
  held_.push_back(c);
  const std::size_t strings = scan_.strings;
  scan_.push(c);
  if (held_.size() > kMostHeld || scan_.open.size() > kDeepest) return reject(1, out);
  if (scan_.open.empty()) return try_whole(out);
  if (scan_.strings == 1 && strings == 0 && !may_begin_call(object_text())) return reject(1, out);
  if (c == '{' && !scan_.in_string && scan_.open.size() == 2) try_head(out);
}

void CallParser::try_head(AnswerParts& out) {
  const auto name = name_in_head(object_text());
  if (!name) return;
  if (!is_tool(*name)) return reject(1, out);
  begin_call(*name, "{", out);
  state_ = State::arguments;
}

void CallParser::try_whole(AnswerParts& out) {
  auto call = read_call(object_text());
  if (!call || !is_tool(call->name)) return reject(1, out);
  begin_call(call->name, std::move(call->arguments), out);
  value_over();
}

void CallParser::begin_call(std::string_view name, std::string arguments, AnswerParts& out) {
  out.calls.push_back({calls_++, std::string(name), std::move(arguments)});  // `name` may be of held_
  held_.clear();
  end_at_ = std::string::npos;
  blanks_.clear();
  after_call_ = true;
}

void CallParser::in_arguments(char c, AnswerParts& out) {
  add_call(out, {calls_ - 1, {}, std::string(1, c)});
  scan_.push(c);
  if (scan_.open.size() == 1) state_ = State::rest;
}

void CallParser::in_rest(char c, AnswerParts& out) {
  if (is_blank(c)) return;
  if (c == '}') return value_over();
  held_.assign(1, c);
  if (c != ',') return reject(0, out);
  state_ = State::extras;
}

void CallParser::in_extras(char c, AnswerParts& out) {
  held_.push_back(c);
  scan_.push(c);
  if (scan_.open.empty()) return value_over();
  if (held_.size() > kMostHeld) reject(1, out);
}

void CallParser::value_over() {
  held_.clear();
  end_at_ = std::string::npos;
  state_ = list_ ? State::listed : State::closing;
}

void CallParser::in_listed(char c, AnswerParts& out) {
  held_.push_back(c);
  if (held_.size() > kMostHeld) return reject(1, out);
  if (is_blank(c)) return;
  if (c == ',') {
    state_ = State::opened;
  } else if (c == ']') {
    list_ = false;
    value_over();
  } else {
    reject(0, out);
  }
}

void CallParser::in_closing(char c, AnswerParts& out) {
  held_.push_back(c);
  if (held_.size() > kMostHeld) return reject(0, out);
  if (end_at_ == std::string::npos) {
    if (is_blank(c) || c == ',' || c == ';') return;
    if (c == '{') return begin_value(c);
    end_at_ = held_.size() - 1;
  }
  const std::string_view part = std::string_view(held_).substr(end_at_);
  if (!end_.starts_with(part)) return reject(0, out);
  if (part.size() < end_.size()) return;
  held_.clear();
  end_at_ = std::string::npos;
  state_ = State::text;
}

/// Blanks, and maybe the beginning of the end mark, are all that is held.
bool CallParser::closes_cleanly() const {
  if (state_ != State::closing && state_ != State::listed) return false;
  return std::ranges::all_of(std::string_view(held_).substr(0, end_at_), is_blank);
}

void CallParser::finish(AnswerParts& out) {
  run(out);
  while (!held_.empty() && !closes_cleanly()) {
    const bool behind_call = state_ == State::closing || state_ == State::listed;
    reject(state_ == State::text ? held_.size() : behind_call ? 0 : 1, out);
    run(out);
  }
  if (!after_call_) out.text += blanks_;
  held_.clear();
  blanks_.clear();
}

}  // namespace troupe::gateway
