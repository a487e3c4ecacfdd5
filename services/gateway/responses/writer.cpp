#include "services/gateway/responses/writer.hpp"

#include <array>
#include <utility>

#include "common/base/hash.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway::responses {
namespace {

enum class Kind : std::uint8_t { reasoning, message, call };

struct Item {
  Kind kind = Kind::message;
  std::string id;
  std::string text;      ///< of a call: its arguments
  std::string logprobs;  ///< of a message: elements of the array
  std::string name, call_id;
  std::size_t call = 0;
  bool open = true;
  bool cut = false;  ///< the answer ended in it at max_output_tokens
};

/// An open item has no parts yet where it is announced.
std::string_view status_of(const Item& item) {
  return item.open ? "in_progress" : item.cut ? "incomplete" : "completed";
}

void append_part(std::string& out, const Item& item, bool empty) {
  out += item.kind == Kind::message ? R"({"type":"output_text","annotations":[],"logprobs":[)"
                                    : R"({"type":"reasoning_text","text":)";
  if (item.kind == Kind::message) {
    if (!empty) out += item.logprobs;
    out += "],\"text\":";
  }
  append_quoted(out, empty ? std::string_view() : std::string_view(item.text));
  out += '}';
}

void append_item(std::string& out, const Item& item) {
  out += "{\"id\":";
  append_quoted(out, item.id);
  out += ",\"status\":\"";
  out += status_of(item);
  if (item.kind == Kind::call) {
    out += R"(","type":"function_call","call_id":)";
    append_quoted(out, item.call_id);
    out += ",\"name\":";
    append_quoted(out, item.name);
    out += ",\"arguments\":";
    append_quoted(out, item.open ? std::string_view() : std::string_view(item.text));
    out += '}';
    return;
  }
  out += item.kind == Kind::message ? R"(","type":"message","role":"assistant","content":[)"
                                    : R"(","type":"reasoning","summary":[],"content":[)";
  if (!item.open) append_part(out, item, false);
  out += "]}";
}

void append_usage(std::string& out, const Usage& usage) {
  out += "{\"input_tokens\":";
  append_number(out, usage.prompt_tokens);
  out += ",\"input_tokens_details\":{\"cached_tokens\":";
  append_number(out, usage.cached_tokens);
  out += ",\"cache_write_tokens\":0},\"output_tokens\":";
  append_number(out, usage.completion_tokens);
  out += ",\"output_tokens_details\":{\"reasoning_tokens\":";
  append_number(out, usage.reasoning_tokens);
  out += "},\"total_tokens\":";
  append_number(out, usage.prompt_tokens + usage.completion_tokens);
  out += '}';
}

AnswerFormat::Options label_options() {
  AnswerFormat::Options options;
  options.chat = true;
  return options;
}

class ResponseWriter final : public AnswerWriter {
 public:
  ResponseWriter(AnswerHead head, std::shared_ptr<const Settings> settings, Keeper keeper)
      : head_(std::move(head)),
        id_(id_from_hex<RequestId>(head_.id).value_or(RequestId{})),
        settings_(std::move(settings)),
        keeper_(keeper),
        labels_(head_.tokenizer, label_options()),
        stored_(settings_->store && keeper_.store != nullptr) {}

  void say_converted() override { converted_ = true; }
  [[nodiscard]] std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  void begin(std::size_t, const Usage&, Events& events) override {
    announce("response.created", response("in_progress", nullptr), events);
    announce("response.in_progress", response("in_progress", nullptr), events);
  }

  void delta(std::size_t, const TextDelta& delta, Events& events) override {
    if (!delta.reasoning.empty()) add_text(Kind::reasoning, delta.reasoning, events);
    if (settings_->logprobs) append_tokens(delta.tokens);
    const bool speaks = !items_.empty() && items_.back().open && items_.back().kind == Kind::message;
    if (!delta.text.empty() || (speaks && !waiting_.empty())) add_text(Kind::message, delta.text, events);
    for (const CallDelta& piece : delta.calls) add_call(piece, events);
  }

  void finish(std::size_t, ChoiceEnd end, const ChoiceExtras&, Events& events) override {
    cut_ = end.reason == FinishReason::length;
    if (items_.empty()) (void)open(Kind::message, 0, events);
    close_last(cut_, events);
  }

  void end(const Usage& usage, Events& events) override {
    compose(usage);
    announce(cut_ ? "response.incomplete" : "response.completed", final_, events);
  }

  void error(const ApiError& error, Events& events) override {
    std::string& out = begin_event("error", events);
    out += ",\"code\":";
    append_quoted(out, error.code);
    out += ",\"message\":";
    append_quoted(out, error.message);
    out += ",\"param\":null";
    end_event(out);
    if (!items_.empty() && items_.back().open) {
      items_.back().open = false;
      items_.back().cut = true;
    }
    failure_ = &error;
    announce("response.failed", response("failed", nullptr), events);
    failure_ = nullptr;
  }

  [[nodiscard]] std::string whole(std::vector<ChoiceResult> choices, const Usage& usage) override {
    Events unseen;
    const ChoiceResult& choice = choices.front();
    delta(0, choice.all, unseen);
    finish(0, {choice.reason, !choice.all.calls.empty()}, choice.extras, unseen);
    compose(usage);
    return final_;
  }

  [[nodiscard]] bool keep(std::function<void()> kept) override {
    if (!stored_) return false;
    keeper_.store->put(id_, std::move(record_), std::move(kept));
    return true;
  }

 private:
  /// `usage`: null while it is not known.
  [[nodiscard]] std::string response(std::string_view status, const Usage* usage) const {
    std::string out = "{\"id\":\"" + response_id(id_) + "\",\"object\":\"response\",\"created_at\":";
    append_number(out, static_cast<std::uint64_t>(head_.created));
    out += ",\"status\":\"";
    out += status;
    out += "\",\"error\":";
    append_failure(out);
    out += ",\"incomplete_details\":";
    out += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
    for (const auto& [key, value] : settings_->echo.items()) {
      out += ',';
      append_quoted(out, key);
      out += ':';
      out += value.dump();
    }
    out += ",\"store\":";
    out += stored_ ? "true" : "false";
    append_lossy(out);
    out += ",\"output\":[";
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (i != 0) out += ',';
      append_item(out, items_[i]);
    }
    out += "],\"usage\":";
    if (usage != nullptr) {
      append_usage(out, *usage);
    } else {
      out += "null";
    }
    out += '}';
    return out;
  }

  void append_failure(std::string& out) const {
    if (failure_ == nullptr) {
      out += "null";
      return;
    }
    out += failure_->status == 429 ? R"({"code":"rate_limit_exceeded","message":)"
                                   : R"({"code":"server_error","message":)";
    append_quoted(out, failure_->message);
    out += '}';
  }

  void append_lossy(std::string& out) const {
    if (!head_.lossy_pages && !converted_ && head_.search.empty()) return;
    Json names = Json::array();
    if (head_.lossy_pages) names.push_back("kv-int8");
    if (converted_) names.push_back("kv-convert");
    if (!head_.search.empty()) names.push_back(head_.search);
    out += ",\"lossy\":" + names.dump();
  }

  /// The finished object, and what is stored of it.
  void compose(const Usage& usage) {
    const std::string_view status = cut_ ? "incomplete" : "completed";
    final_ = response(status, &usage);
    if (!stored_) return;
    record_ = "{\"owner\":\"" + to_hex(keeper_.owner) + "\",\"response\":" + final_ +
              ",\"input\":" + settings_->input.dump() + ",\"history\":" + settings_->history.dump() + '}';
    stored_ = keeper_.store->fits(record_.size());
    if (!stored_) final_ = response(status, &usage);
  }

  // Events. Each has its number as its last field; begin_event leaves the object open behind its type.
  std::string& begin_event(std::string_view type, Events& events) const {
    std::string& out = events.emplace_back("event: ");
    out += type;
    out += "\ndata: {\"type\":\"";
    out += type;
    out += '"';
    return out;
  }
  void end_event(std::string& out) {
    out += ",\"sequence_number\":";
    append_number(out, number_++);
    out += "}\n\n";
  }
  void announce(std::string_view type, const std::string& object, Events& events) {
    std::string& out = begin_event(type, events);
    out += ",\"response\":";
    out += object;
    end_event(out);
  }
  /// An event of the last item.
  std::string& item_event(std::string_view type, Events& events) const {
    std::string& out = begin_event(type, events);
    out += ",\"item_id\":";
    append_quoted(out, items_.back().id);
    out += ",\"output_index\":";
    append_number(out, items_.size() - 1);
    if (items_.back().kind != Kind::call) out += ",\"content_index\":0";
    return out;
  }
  void whole_item_event(std::string_view type, Events& events) {
    std::string& out = begin_event(type, events);
    out += ",\"output_index\":";
    append_number(out, items_.size() - 1);
    out += ",\"item\":";
    append_item(out, items_.back());
    end_event(out);
  }
  void part_event(std::string_view type, bool empty, Events& events) {
    std::string& out = item_event(type, events);
    out += ",\"part\":";
    append_part(out, items_.back(), empty);
    end_event(out);
  }

  /// The last item, which is of this kind (and this call) and open from here on.
  Item& open(Kind kind, std::size_t call, Events& events) {
    if (!items_.empty() && items_.back().open && items_.back().kind == kind && items_.back().call == call)
      return items_.back();
    close_last(false, events);
    static constexpr std::array<std::string_view, 3> kPrefixes{"rs", "msg", "fc"};
    Item& item = items_.emplace_back();
    item.kind = kind;
    item.call = call;
    item.id = item_id(kPrefixes[static_cast<std::size_t>(kind)], id_, true, items_.size() - 1);
    if (kind == Kind::call) return item;  // announced with its name
    whole_item_event("response.output_item.added", events);
    part_event("response.content_part.added", true, events);
    return item;
  }

  void add_text(Kind kind, std::string_view text, Events& events) {
    Item& item = open(kind, 0, events);
    item.text += text;
    const bool message = kind == Kind::message;
    std::string& out =
        item_event(message ? "response.output_text.delta" : "response.reasoning_text.delta", events);
    out += ",\"delta\":";
    append_quoted(out, text);
    if (message) {
      out += ",\"logprobs\":[" + waiting_ + ']';
      if (!item.logprobs.empty() && !waiting_.empty()) item.logprobs += ',';
      item.logprobs += std::exchange(waiting_, {});
    }
    end_event(out);
  }

  void add_call(const CallDelta& piece, Events& events) {
    Item& item = open(Kind::call, piece.index, events);
    if (item.call_id.empty()) {
      const auto id = Hasher().text("call").text(head_.id).number(0).number(piece.index).finish<RequestId>();
      item.call_id = "call_" + to_hex(id).substr(0, 24);
      item.name = piece.name;
      whole_item_event("response.output_item.added", events);
    }
    if (piece.arguments.empty()) return;
    item.text += piece.arguments;
    std::string& out = item_event("response.function_call_arguments.delta", events);
    out += ",\"delta\":";
    append_quoted(out, piece.arguments);
    end_event(out);
  }

  void close_last(bool cut, Events& events) {
    if (items_.empty() || !items_.back().open) return;
    if (items_.back().kind == Kind::message && !waiting_.empty()) add_text(Kind::message, "", events);
    Item& item = items_.back();
    item.open = false;
    item.cut = cut;
    static constexpr std::array<std::string_view, 3> kDone{
        "response.reasoning_text.done", "response.output_text.done", "response.function_call_arguments.done"};
    std::string& out = item_event(kDone[static_cast<std::size_t>(item.kind)], events);
    if (item.kind == Kind::call) {
      out += ",\"name\":";
      append_quoted(out, item.name);
    }
    out += item.kind == Kind::call ? ",\"arguments\":" : ",\"text\":";
    append_quoted(out, item.text);
    if (item.kind == Kind::message) out += ",\"logprobs\":[" + item.logprobs + ']';
    end_event(out);
    if (item.kind != Kind::call) part_event("response.content_part.done", false, events);
    whole_item_event("response.output_item.done", events);
  }

  void append_token(TokenId token, float logprob) {
    waiting_ += "{\"token\":";
    append_quoted(waiting_, labels_.token_label(token));
    waiting_ += ",\"logprob\":";
    append_logprob(waiting_, logprob);
    waiting_ += ",\"bytes\":";
    append_byte_array(waiting_, head_.tokenizer->token_bytes(token, true));
  }
  void append_tokens(const std::vector<PlacedToken>& tokens) {
    for (const PlacedToken& placed : tokens) {
      if (!waiting_.empty()) waiting_ += ',';
      append_token(placed.token.token, placed.token.logprob);
      waiting_ += ",\"top_logprobs\":[";
      for (std::size_t i = 0; i < placed.token.top.size(); ++i) {
        if (i != 0) waiting_ += ',';
        append_token(placed.token.top[i].token, placed.token.top[i].logprob);
        waiting_ += '}';
      }
      waiting_ += "]}";
    }
  }

  const AnswerHead head_;
  const RequestId id_;
  const std::shared_ptr<const Settings> settings_;  // shared with whoever makes this answer again
  const Keeper keeper_;
  const AnswerFormat labels_;
  bool stored_;  ///< it is, or will be
  bool converted_ = false;
  bool cut_ = false;
  const ApiError* failure_ = nullptr;  ///< while it is told
  std::vector<Item> items_;
  std::string waiting_;  ///< log-probabilities whose text has not come yet: elements of an array
  std::string final_, record_;
  std::uint64_t number_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> response_writer(AnswerHead head, std::shared_ptr<const Settings> settings,
                                              Keeper keeper) {
  return std::make_unique<ResponseWriter>(std::move(head), std::move(settings), keeper);
}

}  // namespace troupe::gateway::responses
