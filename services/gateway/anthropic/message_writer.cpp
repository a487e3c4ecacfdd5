#include "services/gateway/anthropic/message_writer.hpp"

#include <algorithm>
#include <utility>

#include "common/base/hash.hpp"
#include "services/gateway/anthropic/message_errors.hpp"
#include "services/gateway/json_reader.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway::anthropic {
namespace {

std::string_view stop_reason(const ChoiceEnd& end) {
  if (end.reason == FinishReason::length)
    return end.context_full ? "model_context_window_exceeded" : "max_tokens";
  if (!end.stop.empty()) return "stop_sequence";
  return end.called ? "tool_use" : "end_turn";
}

void append_stop(std::string& out, const ChoiceEnd& end) {
  out += "\"stop_reason\":";
  append_quoted(out, stop_reason(end));
  out += ",\"stop_sequence\":";
  if (end.stop.empty()) {
    out += "null";
  } else {
    append_quoted(out, end.stop);
  }
}

/// Tokens from a cache are no part of input_tokens here.
void append_usage(std::string& out, const Usage& usage) {
  out += "\"usage\":{\"input_tokens\":";
  append_number(out, usage.prompt_tokens - std::min(usage.prompt_tokens, usage.cached_tokens));
  out += ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":";
  append_number(out, usage.cached_tokens);
  out += ",\"output_tokens\":";
  append_number(out, usage.completion_tokens);
  out += '}';
}

/// The input of a call, which must be an object: nothing of one that was cut.
std::string input_of(const std::string& arguments) {
  const auto read = read_json(arguments);
  return read && read->is_object() ? arguments : std::string("{}");
}

class MessageWriter final : public AnswerWriter {
 public:
  MessageWriter(WriterOptions options, AnswerHead head) : options_(options), head_(std::move(head)) {}

  void say_converted() override {}
  [[nodiscard]] std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  void begin(std::size_t, const Usage& so_far, Events& events) override {
    std::string& out = start(events, "message_start");
    out += ",\"message\":{";
    append_head(out);
    out += "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,";
    append_usage(out, so_far);
    out += '}';
    close(out);
    close(start(events, "ping"));
  }

  void delta(std::size_t, const TextDelta& delta, Events& events) override {
    // What the call that is open goes on with came before all else.
    std::size_t next = 0;
    while (next < delta.calls.size() && delta.calls[next].name.empty()) input(delta.calls[next++], events);
    if (!delta.reasoning.empty() && options_.shows_thinking) {
      open(Block::thinking, events);
      piece(events, "thinking_delta", "thinking", delta.reasoning);
    }
    if (!delta.text.empty()) {
      open(Block::text, events);
      piece(events, "text_delta", "text", delta.text);
    }
    for (; next < delta.calls.size(); ++next) {
      if (!left_out(delta.calls[next])) open_call(delta.calls[next], events);
      input(delta.calls[next], events);
    }
  }

  void finish(std::size_t, ChoiceEnd end, const ChoiceExtras&, Events& events) override {
    close_block(events);
    end_ = end;
    stop_ = end.stop;
    end_.stop = stop_;
  }

  void end(const Usage& usage, Events& events) override {
    std::string& out = start(events, "message_delta");
    out += ",\"delta\":{";
    append_stop(out, end_);
    out += "},";
    append_usage(out, usage);
    close(out);
    close(start(events, "message_stop"));
  }

  void error(const ApiError& error, Events& events) override {
    events.push_back("event: error\ndata: " + error_json(error) + "\n\n");
  }

  [[nodiscard]] std::string whole(std::vector<ChoiceResult> choices, const Usage& usage) override {
    const ChoiceResult& choice = choices.front();
    std::string out = "{";
    append_head(out);
    out += "\"content\":[";
    append_content(out, choice.all);
    out += "],";
    append_stop(out, choice.end);
    out += ',';
    append_usage(out, usage);
    return out + "}";
  }

  [[nodiscard]] bool keep(std::function<void()>) override { return false; }

 private:
  enum class Block : std::uint8_t { none, text, thinking, call };

  /// Of a message, up to its content.
  void append_head(std::string& out) const {
    out += "\"id\":\"msg_" + head_.id + "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":";
    append_quoted(out, head_.model);
    out += ',';
  }

  static std::string& start(Events& events, std::string_view type) {
    std::string& out = events.emplace_back("event: ");
    out += type;
    out += "\ndata: {\"type\":\"";
    out += type;
    out += '"';
    return out;
  }
  static void close(std::string& out) { out += "}\n\n"; }

  std::string& start_indexed(Events& events, std::string_view type) const {
    std::string& out = start(events, type);
    out += ",\"index\":";
    append_number(out, index_);
    return out;
  }

  void piece(Events& events, std::string_view type, std::string_view field, const std::string& text) const {
    std::string& out = start_indexed(events, "content_block_delta");
    out += ",\"delta\":{\"type\":";
    append_quoted(out, type);
    out += ",\"";
    out += field;
    out += "\":";
    append_quoted(out, text);
    out += '}';
    close(out);
  }

  void open(Block block, Events& events) {
    if (block_ == block) return;
    close_block(events);
    block_ = block;
    std::string& out = start_indexed(events, "content_block_start");
    out += block == Block::text ? R"(,"content_block":{"type":"text","text":""})"
                                : R"(,"content_block":{"type":"thinking","thinking":"","signature":""})";
    close(out);
  }

  void open_call(const CallDelta& call, Events& events) {
    close_block(events);
    block_ = Block::call;
    std::string& out = start_indexed(events, "content_block_start");
    out += ",\"content_block\":";
    append_call(out, call, "{}");
    close(out);
  }

  void input(const CallDelta& call, Events& events) const {
    if (!call.arguments.empty() && !left_out(call))
      piece(events, "input_json_delta", "partial_json", call.arguments);
  }

  void close_block(Events& events) {
    if (std::exchange(block_, Block::none) == Block::none) return;
    close(start_indexed(events, "content_block_stop"));
    ++index_;
  }

  [[nodiscard]] bool left_out(const CallDelta& call) const { return options_.one_call && call.index > 0; }

  void append_call(std::string& out, const CallDelta& call, std::string_view input) const {
    const auto id = Hasher().text("tool use").text(head_.id).number(call.index).finish<RequestId>();
    out += "{\"type\":\"tool_use\",\"id\":\"toolu_" + to_hex(id).substr(0, 24) + "\",\"name\":";
    append_quoted(out, call.name);
    out += ",\"input\":";
    out += input;
    out += '}';
  }

  void append_content(std::string& out, const TextDelta& all) const {
    const char* comma = "";
    if (!all.reasoning.empty() && options_.shows_thinking) {
      out += "{\"type\":\"thinking\",\"thinking\":";
      append_quoted(out, all.reasoning);
      out += ",\"signature\":\"\"}";
      comma = ",";
    }
    if (!all.text.empty()) {
      out += comma;
      out += "{\"type\":\"text\",\"text\":";
      append_quoted(out, all.text);
      out += '}';
      comma = ",";
    }
    for (const CallDelta& call : all.calls) {
      if (left_out(call)) continue;
      out += comma;
      append_call(out, call, input_of(call.arguments));
      comma = ",";
    }
  }

  const WriterOptions options_;
  const AnswerHead head_;
  Block block_ = Block::none;
  std::size_t index_ = 0;  ///< of the block that is open, or the next one's
  ChoiceEnd end_;
  std::string stop_;
};

}  // namespace

std::unique_ptr<AnswerWriter> message_writer(WriterOptions options, AnswerHead head) {
  return std::make_unique<MessageWriter>(options, std::move(head));
}

}  // namespace troupe::gateway::anthropic
