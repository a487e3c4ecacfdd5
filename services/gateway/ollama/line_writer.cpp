#include "services/gateway/ollama/line_writer.hpp"

#include <algorithm>
#include <utility>

#include "common/base/hash.hpp"
#include "services/gateway/json_reader.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/time_text.hpp"

namespace troupe::gateway::ollama {
namespace {

void append_field(std::string& out, std::string_view key, std::uint64_t value) {
  out.append(",\"").append(key).append("\":");
  append_number(out, value);
}

void append_duration(std::string& out, std::string_view key, Duration value) {
  append_field(out, key, static_cast<std::uint64_t>(std::max(Duration::zero(), value).count()));
}

std::string head_of(const LineOptions& options) {
  std::string out = "{\"model\":";
  append_quoted(out, options.model);
  return out + ",\"created_at\":\"" + rfc3339(options.now()) + "\"";
}

class LineWriter final : public AnswerWriter {
 public:
  LineWriter(LineOptions options, AnswerHead head)
      : options_(std::move(options)), head_(std::move(head)), scores_(head_.tokenizer, score_options()) {}

  void say_converted() override {}
  [[nodiscard]] std::string_view stream_type() const override { return "application/x-ndjson"; }

  void begin(std::size_t, const Usage&, Events&) override {}

  void delta(std::size_t, const TextDelta& delta, Events& events) override {
    TextDelta told;
    told.text = delta.text;
    told.reasoning = delta.reasoning;
    told.tokens = delta.tokens;
    for (const CallDelta& piece : delta.calls) {
      if (piece.name.empty()) {
        call_.arguments += piece.arguments;
      } else {
        tell_call(told);
        call_ = piece;
      }
    }
    if (!told.empty() || !told.tokens.empty()) line(told, events);
  }

  void finish(std::size_t, ChoiceEnd end, const ChoiceExtras&, Events& events) override {
    TextDelta told;
    tell_call(told);
    if (!told.empty()) line(told, events);
    end_ = end.reason;
  }

  void end(const Usage& usage, Events& events) override {
    std::string out = head_of(options_);
    append_parts(out, {});
    append_end(out, end_, usage);
    events.push_back(out + "\n");
  }

  void error(const ApiError& error, Events& events) override { events.push_back(error_json(error) + "\n"); }

  [[nodiscard]] std::string whole(std::vector<ChoiceResult> choices, const Usage& usage) override {
    const ChoiceResult& choice = choices.front();
    std::string out = head_of(options_);
    append_parts(out, choice.all);
    append_end(out, choice.reason, usage);
    return out;
  }

  [[nodiscard]] bool keep(std::function<void()>) override { return false; }

 private:
  static AnswerFormat::Options score_options() {
    AnswerFormat::Options options;
    options.chat = true;
    return options;
  }

  void tell_call(TextDelta& told) {
    if (!call_.name.empty()) told.calls.push_back(std::exchange(call_, {}));
  }

  void line(const TextDelta& told, Events& events) const {
    std::string out = head_of(options_);
    append_parts(out, told);
    events.push_back(out + ",\"done\":false}\n");
  }

  void append_parts(std::string& out, const TextDelta& told) const {
    if (options_.chat) {
      out += ",\"message\":{\"role\":\"assistant\",\"content\":";
      append_quoted(out, told.text);
    } else {
      out += ",\"response\":";
      append_quoted(out, told.text);
    }
    if (!told.reasoning.empty()) {
      out += ",\"thinking\":";
      append_quoted(out, told.reasoning);
    }
    if (options_.chat) {
      append_calls(out, told.calls);
      out += '}';
    }
    if (options_.logprobs && !told.tokens.empty()) {
      out += ",\"logprobs\":";
      scores_.scored_tokens(out, told.tokens);
    }
  }

  void append_calls(std::string& out, const std::vector<CallDelta>& calls) const {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const CallDelta& call = calls[i];
      const auto id = Hasher().text("call").text(head_.id).number(call.index).finish<RequestId>();
      const auto arguments = read_json(call.arguments);
      out += i == 0 ? ",\"tool_calls\":[" : ",";
      out += "{\"id\":\"call_" + to_hex(id).substr(0, 24) + "\",\"function\":{\"index\":";
      append_number(out, call.index);
      out += ",\"name\":";
      append_quoted(out, call.name);
      out += ",\"arguments\":";
      out += arguments && arguments->is_object() ? std::string_view(call.arguments) : std::string_view("{}");
      out += "}}";
    }
    if (!calls.empty()) out += ']';
  }

  static void append_end(std::string& out, FinishReason reason, const Usage& usage) {
    out += ",\"done\":true,\"done_reason\":";
    out += reason == FinishReason::length ? "\"length\"" : "\"stop\"";
    append_duration(out, "total_duration", usage.times.total);
    append_duration(out, "load_duration", usage.times.prepare);
    append_field(out, "prompt_eval_count", usage.prompt_tokens);
    append_duration(out, "prompt_eval_duration", usage.times.prompt);
    append_field(out, "eval_count", usage.completion_tokens);
    append_duration(out, "eval_duration", usage.times.answer);
    out += '}';
  }

  const LineOptions options_;
  const AnswerHead head_;
  const AnswerFormat scores_;
  CallDelta call_;  ///< begun, and not yet told; no name: none
  FinishReason end_ = FinishReason::none;
};

}  // namespace

std::unique_ptr<AnswerWriter> line_writer(LineOptions options, AnswerHead head) {
  return std::make_unique<LineWriter>(std::move(options), std::move(head));
}

std::string loaded_answer(const LineOptions& options) {
  const std::string_view nothing =
      options.chat ? R"(,"message":{"role":"assistant","content":""})" : R"(,"response":"")";
  return head_of(options).append(nothing) + R"(,"done":true,"done_reason":"load"})";
}

std::string error_json(const ApiError& error) {
  std::string out = "{\"error\":";
  append_quoted(out, printable(error.message));
  return out + "}";
}

Response error_response(const ApiError& error) {
  Response response = to_response(error);  // for its status and headers
  response.body = error_json(error);
  return response;
}

}  // namespace troupe::gateway::ollama
