#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

class Routes : public EdgeTest {
 protected:
  Answer get(std::string_view path) { return HttpClient(port()).call("GET", path); }
};

TEST_F(Routes, ModelsListWhatCanBeUsed) {
  start();
  dispatcher_.set_models({{"small", ModelId{1, 2}, kContext, 1}, {"stranger", ModelId{3, 4}, 5, 1}});
  const json list = json::parse(get("/v1/models").body);
  ASSERT_EQ(list["data"].size(), 1u);
  EXPECT_EQ(list["data"][0]["id"], "small");
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(list["data"][0]["max_model_len"], kContext);
  EXPECT_EQ(json::parse(get("/v1/models/small").body)["id"], "small");
  EXPECT_EQ(json::parse(get("/v1/models/sm%61ll").body)["id"], "small");
  const Answer missing = get("/v1/models/nobody");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(json::parse(missing.body)["error"]["code"], "model_not_found");
}

TEST_F(Routes, TokenizeAndDetokenizeAreInverse) {
  start();
  const json tokens = post_json(
      "/tokenize", {{"model", "small"}, {"prompt", "hello 12<|im_end|>"}, {"return_token_strs", true}});
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["token_strs"].size(), tokens["tokens"].size());
  EXPECT_EQ(tokens["max_model_len"], kContext);
  EXPECT_EQ(post_json("/detokenize", {{"model", "small"}, {"tokens", tokens["tokens"]}})["prompt"],
            "hello 12<|im_end|>");
}

TEST_F(Routes, TokenizeRendersMessages) {
  start();
  const json body = {{"model", "small"},
                     {"messages", {{{"role", "user"}, {"content", "x"}}}},
                     {"add_generation_prompt", false}};
  const json tokens = post_json("/tokenize", body);
  EXPECT_EQ(post_json("/detokenize", {{"model", "small"}, {"tokens", tokens["tokens"]}})["prompt"],
            "<|start|>user\nx<|im_end|>\n");
}

TEST_F(Routes, ReadyOnlyWithAReadyWorker) {
  start();
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  dispatcher_.set_models({{"small", ModelId{1, 2}, kContext, 0}});
  EXPECT_EQ(get("/readyz").status, 503);
  dispatcher_.set_models({});
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(Routes, MetricsCountRequestsAndTokens) {
  start();
  post_json("/v1/chat/completions", chat_body());
  post("/v1/chat/completions", "{");
  const Answer answer = get("/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.header("Content-Type").starts_with("text/plain; version=0.0.4"));
  const auto has = [&](const std::string& line) {
    return answer.body.find(line + "\n") != std::string::npos;
  };
  EXPECT_TRUE(has("troupe_gateway_requests_total{outcome=\"2xx\",route=\"chat_completions\"} 1"))
      << answer.body;
  EXPECT_TRUE(has("troupe_gateway_requests_total{outcome=\"4xx\",route=\"chat_completions\"} 1"));
  EXPECT_TRUE(has("troupe_gateway_completion_tokens_total 12"));
  EXPECT_TRUE(has("troupe_gateway_cached_tokens_total 3"));
  EXPECT_TRUE(has("troupe_gateway_first_token_seconds_count 1"));
  EXPECT_TRUE(has("troupe_gateway_http_in_flight_requests 1"));  // this very scrape
}

TEST_F(Routes, StateConfigAndPage) {
  gateway::EdgeOptions options;
  options.config_json = [] { return std::string(R"({"http.port":0})"); };
  start(std::move(options));
  EXPECT_EQ(json::parse(get("/config").body), json({{"http.port", 0}}));
  const json state = json::parse(get("/state").body);
  EXPECT_EQ(state["draining"], false);
  EXPECT_EQ(state["models"].size(), 2u);
  EXPECT_FALSE(state.contains("router")) << "there is none in this process";
  const Answer page = get("/");
  EXPECT_TRUE(page.header("Content-Type").starts_with("text/html"));
  EXPECT_EQ(page.body.find("://"), std::string::npos) << "the page loads something from elsewhere";
}

TEST_F(Routes, StateShowsTheRouterOfThisProcessAndTheModelListDoesNot) {
  gateway::EdgeOptions options;
  options.router_json = [] { return std::string(R"({"placements":[{"decode":"w"}]})"); };
  start(std::move(options));
  EXPECT_EQ(json::parse(get("/state").body)["router"]["placements"][0]["decode"], "w");
  EXPECT_EQ(get("/v1/models").body.find("placements"), std::string::npos);
}

TEST_F(Routes, WrongMethodSaysWhichIsRight) {
  start();
  const Answer answer = get("/v1/chat/completions");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(HttpClient(port()).call("DELETE", "/v1/models/small").header("Allow"), "GET, HEAD, OPTIONS");
}

TEST_F(Routes, HeadGivesTheLengthAlone) {
  start();
  HttpClient client(port());
  const Answer head = client.call("HEAD", "/healthz");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "3");
  EXPECT_EQ(client.call("GET", "/healthz").body, "ok\n");
}

TEST_F(Routes, PreflightIsAnsweredForBrowsers) {
  start();
  const Answer answer =
      HttpClient(port()).call("OPTIONS", "/v1/chat/completions", "",
                              "Origin: http://a\r\nAccess-Control-Request-Headers: x-a, authorization\r\n");
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(answer.header("Access-Control-Allow-Headers"), "x-a, authorization");
  EXPECT_EQ(answer.header("Allow"), "POST, OPTIONS");
}

TEST_F(Routes, CorsCanBeTurnedOff) {
  gateway::EdgeOptions options;
  options.http.cors_origin = "";
  start(std::move(options));
  EXPECT_EQ(get("/healthz").header("Access-Control-Allow-Origin"), "");
}

TEST_F(Routes, EveryAnswerCarriesItsOwnRequestId) {
  start();
  const std::string first = get("/healthz").header("x-request-id");
  EXPECT_EQ(first.size(), 32u);
  EXPECT_NE(get("/healthz").header("x-request-id"), first);
}

}  // namespace
}  // namespace troupe::test
