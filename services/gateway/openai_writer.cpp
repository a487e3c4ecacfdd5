#include "services/gateway/openai_writer.hpp"

#include <utility>

namespace troupe::gateway {
namespace {

class OpenAiWriter final : public AnswerWriter {
 public:
  OpenAiWriter(std::shared_ptr<const Tokenizer> tokenizer, AnswerFormat::Options options)
      : chat_(options.chat),
        include_usage_(options.include_usage),
        format_(std::move(tokenizer), std::move(options)) {}

  void say_converted() override { format_.say_converted(); }
  [[nodiscard]] std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  void begin(std::size_t choice, const Usage&, Events& events) override {
    if (chat_) format_.role_event(events.emplace_back(), choice);
  }
  void delta(std::size_t choice, const TextDelta& delta, Events& events) override {
    format_.delta_event(events.emplace_back(), choice, delta);
  }
  void finish(std::size_t choice, ChoiceEnd end, const ChoiceExtras& extras, Events& events) override {
    format_.finish_event(events.emplace_back(), choice, end, extras);
  }
  void end(const Usage& usage, Events& events) override {
    if (include_usage_) format_.usage_event(events.emplace_back(), usage);
    AnswerFormat::done_event(events.emplace_back());
  }
  void error(const ApiError& error, Events& events) override {
    AnswerFormat::error_event(events.emplace_back(), error);
  }
  [[nodiscard]] std::string whole(std::vector<ChoiceResult> choices, const Usage& usage) override {
    return format_.whole(choices, usage);
  }
  [[nodiscard]] bool keep(std::function<void()>) override { return false; }

 private:
  const bool chat_, include_usage_;
  AnswerFormat format_;
};

}  // namespace

std::unique_ptr<AnswerWriter> openai_writer(const GenerateRequest& request, bool drafted, AnswerHead head) {
  AnswerFormat::Options options;
  options.chat = request.chat;
  options.id = std::move(head.id);
  options.created = head.created;
  options.model = std::move(head.model);
  options.fingerprint = std::move(head.fingerprint);
  options.lossy_pages = head.lossy_pages;
  options.search = std::move(head.search);
  options.service_tier = request.service_tier;
  options.logprobs = request.logprobs;
  options.drafted = drafted;
  options.include_usage = request.include_usage;
  return std::make_unique<OpenAiWriter>(std::move(head.tokenizer), std::move(options));
}

}  // namespace troupe::gateway
