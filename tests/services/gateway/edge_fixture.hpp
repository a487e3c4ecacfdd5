#pragma once
// A real edge on a free port, in front of a scripted dispatcher, with a small vocabulary: ids 0 to 255 are
// the bytes.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "services/gateway/edge.hpp"
#include "tests/common/tokenizer/small_vocabularies.hpp"
#include "tests/services/gateway/fake_dispatcher.hpp"
#include "tests/services/gateway/http_client.hpp"

namespace troupe::test {

inline constexpr std::string_view kSmallTemplate =
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}";

inline std::shared_ptr<const Tokenizer> small_tokenizer() {
  return *small_byte_level().make();
}

/// One token per byte.
inline std::vector<GeneratedToken> byte_tokens(std::string_view text) {
  std::vector<GeneratedToken> out;
  for (const char c : text) out.push_back({static_cast<TokenId>(static_cast<unsigned char>(c)), -0.5f, {}});
  return out;
}

class EdgeTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kContext = 256;

  void SetUp() override {
    dispatcher_.set_models(
        {{"small", ModelId{0x0123456789abcdefULL, 7}, kContext, 1}, {"raw", ModelId{1, 1}, kContext, 1}});
    answer_with("Hello world");
  }
  void start() {
    gateway::EdgeOptions options;
    start(std::move(options));
  }
  void start(gateway::EdgeOptions options) {
    options.http.port = 0;
    gateway::ModelTable table;
    auto parsed = ChatTemplate::parse(kSmallTemplate);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    ASSERT_TRUE(table.add({"small", small_tokenizer(), *parsed}));
    ASSERT_TRUE(table.add({"raw", small_tokenizer(), nullptr}));
    ASSERT_TRUE(table.add({"asleep", small_tokenizer(), *parsed}));
    auto edge = gateway::Edge::start(std::move(options), std::move(table), dispatcher_, registry_);
    ASSERT_TRUE(edge) << edge.error().detail;
    edge_ = std::move(*edge);
  }
  /// Every job: this text byte by byte, then the end token.
  void answer_with(std::string text, std::size_t batch = 1) {
    dispatcher_.set_script([text, batch](const gateway::GenerateJob& job) {
      ScriptedAnswer answer;
      answer.cached_tokens = 3;
      answer.batch = batch;
      auto tokens = byte_tokens(text);
      tokens.push_back({job.stop_tokens.empty() ? 0 : job.stop_tokens.back(), -0.25f, {}});
      answer.choices.assign(job.choices, tokens);
      return answer;
    });
  }
  std::uint16_t port() const { return edge_->port(); }
  Answer post(std::string_view path, const std::string& body, const std::string& headers = {}) {
    return HttpClient(port()).call("POST", path, body, headers);
  }
  nlohmann::json post_json(std::string_view path, const nlohmann::json& body) {
    const Answer answer = post(path, body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    return nlohmann::json::parse(answer.body, nullptr, false);
  }
  /// The payloads of a stream's events; the last must be [DONE], which is dropped.
  std::vector<nlohmann::json> stream(std::string_view path, nlohmann::json body) {
    body["stream"] = true;
    const Answer answer = post(path, body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(answer.whole);
    return events(answer.body, true);
  }
  static std::vector<nlohmann::json> events(const std::string& text, bool expect_done) {
    std::vector<nlohmann::json> out;
    bool done = false;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find("\n\n", at);
      EXPECT_NE(end, std::string::npos);
      if (end == std::string::npos) break;
      const std::string line = text.substr(at, end - at);
      EXPECT_TRUE(line.starts_with("data: ")) << line;
      if (line == "data: [DONE]") {
        done = true;
      } else {
        out.push_back(nlohmann::json::parse(line.substr(6), nullptr, false));
        EXPECT_FALSE(out.back().is_discarded()) << line;
      }
      at = end + 2;
    }
    EXPECT_EQ(done, expect_done);
    return out;
  }

  metrics::Registry registry_;
  FakeDispatcher dispatcher_;
  std::unique_ptr<gateway::Edge> edge_;  // ends before the dispatcher
};

inline nlohmann::json chat_body(const std::string& text = "Hi") {
  return {{"model", "small"}, {"messages", {{{"role", "user"}, {"content", text}}}}};
}

}  // namespace troupe::test
