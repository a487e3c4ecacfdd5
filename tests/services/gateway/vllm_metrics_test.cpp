// vLLM's families over a real edge, and how many series there can be.
#include <algorithm>
#include <sstream>

#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

class VllmMetrics : public EdgeTest {
 protected:
  std::string scrape(const std::string& accept = "*/*") {
    return HttpClient(port()).call("GET", "/metrics", "", "Accept: " + accept + "\r\n").body;
  }
  static double value(const std::string& text, const std::string& series) {
    const auto at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
  }
  static std::size_t series(const std::string& text) {
    std::istringstream lines(text);
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) count += line.empty() || line.front() == '#' ? 0 : 1;
    return count;
  }
};

const std::string kSmall = "{engine=\"0\",model_name=\"small\"}";
std::string success(const std::string& reason) {
  return "vllm:request_success_total{engine=\"0\",finished_reason=\"" + reason + "\",model_name=\"small\"}";
}

TEST_F(VllmMetrics, CountWhatARequestIs) {
  start();
  nlohmann::json body = chat_body();
  body["n"] = 2;
  body["max_tokens"] = 40;
  post_json("/v1/chat/completions", body);  // "Hello world" and the end token, twice
  const std::string text = scrape();
  EXPECT_EQ(value(text, success("stop")), 2) << text;
  EXPECT_EQ(value(text, success("length")), 0);
  EXPECT_EQ(value(text, "vllm:time_to_first_token_seconds_count" + kSmall), 1);
  EXPECT_EQ(value(text, "vllm:inter_token_latency_seconds_count" + kSmall), 22);
  EXPECT_EQ(value(text, "vllm:time_per_output_token_seconds_count" + kSmall), 22);
  EXPECT_EQ(value(text, "vllm:request_time_per_output_token_seconds_count" + kSmall), 2);
  EXPECT_EQ(value(text, "vllm:e2e_request_latency_seconds_count" + kSmall), 2);
  EXPECT_EQ(value(text, "vllm:generation_tokens_total" + kSmall), 24);
  EXPECT_EQ(value(text, "vllm:request_generation_tokens_sum" + kSmall), 24);
  EXPECT_EQ(value(text, "vllm:request_params_n_sum" + kSmall), 4) << "a choice counts as a request";
  EXPECT_EQ(
      value(text, "vllm:request_params_max_tokens_bucket{engine=\"0\",model_name=\"small\",le=\"20.0\"}"), 0);
  EXPECT_EQ(
      value(text, "vllm:request_params_max_tokens_bucket{engine=\"0\",model_name=\"small\",le=\"50.0\"}"), 2);
  EXPECT_EQ(value(text, "vllm:request_prompt_tokens_sum" + kSmall),
            2 * value(text, "vllm:prompt_tokens_total" + kSmall));
  EXPECT_GT(value(text, "vllm:prompt_tokens_total" + kSmall), 0);
  EXPECT_EQ(value(text, "vllm:prompt_tokens_total{engine=\"0\",model_name=\"raw\"}"), 0)
      << "of another model";
}

TEST_F(VllmMetrics, ARequestThatFailsCountsAsAborted) {
  start();
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.error_before_tokens = Error{Errc::internal, "x"};
    return answer;
  });
  EXPECT_EQ(post("/v1/chat/completions", chat_body().dump()).status, 500);
  EXPECT_EQ(value(scrape(), success("abort")), 1);
}

TEST_F(VllmMetrics, TheFormatIsNegotiated) {
  start();
  const Answer open = HttpClient(port()).call(
      "GET", "/metrics", "",
      "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n");
  EXPECT_TRUE(open.header("Content-Type").starts_with("application/openmetrics-text; version=1.0.0"))
      << open.head;
  EXPECT_EQ(open.header("Vary"), "Accept");
  EXPECT_TRUE(open.body.ends_with("\n# EOF\n"));
  EXPECT_FALSE(scrape("text/plain").ends_with("# EOF\n"));
}

// Whatever clients write, no new series comes of it: names, paths, headers, models, parameters.
TEST_F(VllmMetrics, NothingAClientWritesMakesASeries) {
  start();
  post_json("/v1/chat/completions", chat_body());
  const std::string before = scrape();
  for (int i = 0; i < 300; ++i) {
    const std::string name = "name-" + std::to_string(i);
    nlohmann::json body = chat_body(name);
    body["user"] = body["prompt_cache_key"] = name;
    body["seed"] = i;
    body["max_tokens"] = 1 + i % 50;
    body["n"] = 1 + i % 4;
    if (i % 3 == 0) body["model"] = name;
    HttpClient client(port());
    client.call("POST", "/v1/chat/completions", body.dump(),
                "Authorization: Bearer " + name + "\r\nIdempotency-Key: " + name + "\r\n");
    HttpClient(port()).call(i % 2 == 0 ? "GET" : "DELETE", "/" + name, "");
  }
  const std::string after = scrape();
  EXPECT_EQ(series(after), series(before));
  EXPECT_EQ(after.find("name-"), std::string::npos);
  EXPECT_LT(series(after), 1500U) << "with three models";
}

}  // namespace
}  // namespace troupe::test
