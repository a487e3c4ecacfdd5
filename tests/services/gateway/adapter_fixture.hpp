#pragma once
// An edge whose contexts hold texts about tools, with a model that thinks; for APIs that are told as chats.
#include <string>
#include <utility>
#include <vector>

#include "services/gateway/answer_writer.hpp"
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {

class AdapterTest : public EdgeTest {
 protected:
  static constexpr std::uint32_t kRoom = 4096;

  void SetUp() override {
    EdgeTest::SetUp();
    dispatcher_.set_models({{"small", ModelId{1, 2}, kRoom, 1},
                            {"thinker", ModelId{1, 4}, kRoom, 1},
                            {"raw", ModelId{1, 1}, kRoom, 1}});
  }
  void start() {
    gateway::EdgeOptions options;
    start(std::move(options));
  }
  void start(gateway::EdgeOptions options) {
    options.http.port = 0;
    gateway::ModelTable table;
    const std::string thinker =
        "{# <think> #}{% if enable_thinking %}T{% endif %}" + std::string(kSmallTemplate);
    const gateway::ModelFile file{"llama", "Q4_1", 134'515'008, 98'000'000, 1'700'000'000};
    ASSERT_TRUE(table.add({"small", small_tokenizer(), *ChatTemplate::parse(kSmallTemplate), file}));
    ASSERT_TRUE(table.add({"thinker", small_tokenizer(), *ChatTemplate::parse(thinker), file}));
    ASSERT_TRUE(table.add({"raw", small_tokenizer(), nullptr, file}));
    ASSERT_TRUE(table.add({"asleep", small_tokenizer(), *ChatTemplate::parse(kSmallTemplate), file}));
    auto edge = gateway::Edge::start(std::move(options), std::move(table), dispatcher_, registry_);
    ASSERT_TRUE(edge) << edge.error().detail;
    edge_ = std::move(*edge);
  }
  /// Every job: this text, cut by its length.
  void answer_cut(const std::string& text) {
    dispatcher_.set_script([text](const gateway::GenerateJob& job) {
      ScriptedAnswer answer;
      answer.finish = FinishReason::length;
      answer.choices.assign(job.choices, byte_tokens(text));
      return answer;
    });
  }
  std::string prompt() const { return *small_tokenizer()->decode(dispatcher_.seen().back().prompt, true); }
  gateway::GenerateJob job() const { return dispatcher_.seen().back(); }
};

/// What a whole stream of one choice is written as, event by event.
inline std::string written(gateway::AnswerWriter& writer, const std::vector<gateway::TextDelta>& deltas,
                           const gateway::ChoiceEnd& end, const gateway::Usage& usage) {
  gateway::AnswerWriter::Events events;
  gateway::Usage so_far = usage;
  so_far.completion_tokens = 0;
  writer.begin(0, so_far, events);
  for (const auto& delta : deltas) writer.delta(0, delta, events);
  writer.finish(0, end, {}, events);
  writer.end(usage, events);
  std::string out;
  for (const std::string& event : events) out += event;
  return out;
}

inline gateway::TextDelta delta_of(std::string text, std::string reasoning = {},
                                   std::vector<gateway::CallDelta> calls = {}) {
  gateway::TextDelta delta;
  delta.text = std::move(text);
  delta.reasoning = std::move(reasoning);
  delta.calls = std::move(calls);
  return delta;
}

}  // namespace troupe::test
