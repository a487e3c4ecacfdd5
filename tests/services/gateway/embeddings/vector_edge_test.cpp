// Vectors over HTTP, in front of a scripted dispatcher.
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;
using Vector = std::vector<float>;

/// A text's first token turns its vector.
Vector vector_of(const gateway::GenerateJob& job) {
  switch (job.prompt.front()) {
    case 'q':
      return {1, 0};
    case 'n':
      return {0.8F, 0.6F};
    default:
      return {0, 1};
  }
}

class VectorEdge : public EdgeTest {
 protected:
  void SetUp() override {
    EdgeTest::SetUp();
    dispatcher_.set_script([](const gateway::GenerateJob& job) {
      ScriptedAnswer answer;
      answer.vector = vector_of(job);
      return answer;
    });
  }
  static json body(json input) { return {{"model", "raw"}, {"input", std::move(input)}}; }
  json error(std::string_view path, const json& request, int status) {
    const Answer answer = post(path, request.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body, nullptr, false)["error"];
  }
};

TEST_F(VectorEdge, TextsAndTokensBecomeVectors) {
  start();
  const json answer = post_json("/v1/embeddings", body({"query", "near", "far"}));
  ASSERT_EQ(answer["data"].size(), 3u);
  EXPECT_EQ(answer["data"][0]["embedding"].get<Vector>(), (Vector{1, 0}));
  EXPECT_EQ(answer["data"][1]["embedding"].get<Vector>(), (Vector{0.8F, 0.6F}));
  EXPECT_EQ(answer["data"][2]["embedding"].get<Vector>(), (Vector{0, 1}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 12);
  EXPECT_EQ(answer["model"], "raw");
  EXPECT_EQ(post_json("/v1/embeddings", body({113, 5}))["data"][0]["embedding"].get<Vector>(),
            (Vector{1, 0}));
  const auto seen = dispatcher_.seen();
  ASSERT_EQ(seen.size(), 4u);
  for (const auto& job : seen) {
    EXPECT_EQ(job.pooling, Pooling::mean);
    EXPECT_EQ(job.choices, 1u);
    EXPECT_TRUE(job.share.is_zero());
    EXPECT_TRUE(job.deadline.has_value());
  }
  EXPECT_EQ(seen[3].prompt, (std::vector<TokenId>{113, 5}));
}

TEST_F(VectorEdge, PoolingAndPriorityArePassedOn) {
  start();
  json request = body("query");
  request["troupe"]["pooling"] = "last";
  request["priority"] = 4;
  (void)post_json("/v1/embeddings", request);
  EXPECT_EQ(dispatcher_.seen()[0].pooling, Pooling::last);
  EXPECT_EQ(dispatcher_.seen()[0].priority, 4);
}

TEST_F(VectorEdge, WhatDoesNotFitIsRefusedBeforeAnythingRuns) {
  start();
  const json at_most = body(std::string(kContext, 'a'));
  EXPECT_EQ(post_json("/v1/embeddings", at_most)["usage"]["prompt_tokens"], kContext)
      << "no answer has to fit";
  const json longer = error("/v1/embeddings", body({"ok", std::string(kContext + 1, 'a')}), 400);
  EXPECT_EQ(longer["code"], "context_length_exceeded");
  EXPECT_EQ(longer["param"], "input[1]");
  EXPECT_EQ(error("/v1/embeddings", body({99999}), 400)["param"], "input");
  EXPECT_EQ(error("/v1/embeddings", body(""), 400)["param"], "input");
  EXPECT_EQ(error("/v1/embeddings", {{"model", "none"}, {"input", "a"}}, 404)["code"], "model_not_found");
  EXPECT_EQ(error("/v1/embeddings", {{"model", "asleep"}, {"input", "a"}}, 503)["code"], "no_ready_worker");
  EXPECT_EQ(dispatcher_.seen().size(), 1u);
  json wide = body("query");
  wide["dimensions"] = 3;
  EXPECT_EQ(error("/v1/embeddings", wide, 400)["param"], "dimensions");
  wide["dimensions"] = 1;
  EXPECT_EQ(post_json("/v1/embeddings", wide)["data"][0]["embedding"].get<Vector>(), (Vector{1}));
}

TEST_F(VectorEdge, AllTokensOfARequestHaveABound) {
  start();
  std::vector<std::string> texts(1200, std::string(kContext, 'a'));  // 307,200 tokens
  EXPECT_EQ(error("/v1/embeddings", body(texts), 400)["code"], "invalid_value");
  EXPECT_TRUE(dispatcher_.seen().empty());
}

TEST_F(VectorEdge, DocumentsAreRankedByTheirCosines) {
  start();
  const json answer = post_json(
      "/v1/rerank",
      {{"model", "raw"}, {"query", "query"}, {"documents", {"far", {{"text", "near"}}}}, {"top_n", 1}});
  ASSERT_EQ(answer["results"].size(), 1u);
  EXPECT_EQ(answer["results"][0]["index"], 1);
  EXPECT_EQ(answer["results"][0]["document"]["text"], "near");
  EXPECT_NEAR(answer["results"][0]["relevance_score"].get<double>(), 0.8, 1e-6);
  EXPECT_EQ(answer["usage"]["total_tokens"], 12);
}

TEST_F(VectorEdge, PairsAreScored) {
  start();
  const json answer =
      post_json("/v1/score", {{"model", "raw"}, {"text_1", "query"}, {"text_2", {"far", "query"}}});
  EXPECT_EQ(answer["data"][0]["score"], 0.0);
  EXPECT_EQ(answer["data"][1]["score"], 1.0);
  EXPECT_EQ(answer["data"][1]["index"], 1);
}

TEST_F(VectorEdge, AWindowOfJobsRunsAtATimeAndOneErrorCancelsTheRest) {
  dispatcher_.set_manual();
  start();
  HttpClient client(port());
  client.request("POST", "/v1/embeddings", body(std::vector<std::string>(40, "text")).dump());
  std::vector<OpenJob> jobs;
  for (int i = 0; i < 16; ++i) jobs.push_back(dispatcher_.next_job());
  ASSERT_TRUE(jobs.back().sink);
  EXPECT_EQ(dispatcher_.in_flight(), 0u) << "no more than a window";
  jobs[3].sink->on_start({});
  jobs[3].sink->on_vector({1, 0});
  jobs[3].sink->on_done();
  const OpenJob next = dispatcher_.next_job();
  ASSERT_TRUE(next.sink) << "an answer makes room for another job";
  jobs[5].sink->on_error({Errc::no_ready_worker, "all are away"});
  EXPECT_TRUE(dispatcher_.wait_for_cancels(15));
  const Answer answer = client.read();
  EXPECT_EQ(answer.status, 503);
  EXPECT_FALSE(answer.header("Retry-After").empty());
}

TEST_F(VectorEdge, AClientThatLeavesCancelsItsJobs) {
  dispatcher_.set_manual();
  start();
  HttpClient client(port());
  client.request("POST", "/v1/embeddings", body({"one", "two"}).dump());
  const OpenJob one = dispatcher_.next_job(), two = dispatcher_.next_job();
  ASSERT_TRUE(one.sink && two.sink);
  client.close();
  EXPECT_TRUE(dispatcher_.wait_for_cancels(2));
}

TEST_F(VectorEdge, AFullHouseHoldsJobsBackAsLongAsOthersOfTheRequestRun) {
  std::size_t started = 0;
  dispatcher_.set_script([&started](const gateway::GenerateJob& job) {  // under the dispatcher's lock
    ScriptedAnswer answer;
    answer.vector = vector_of(job);
    if (++started == 2) answer.error_at_start = Error{Errc::queue_full, "full"};
    return answer;
  });
  start();
  const json answer = post_json("/v1/embeddings", body({"query", "near", "far"}));
  EXPECT_EQ(answer["data"][1]["embedding"].get<Vector>(), (Vector{0.8F, 0.6F}));
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer refusal;
    refusal.error_at_start = Error{Errc::queue_full, "full"};
    return refusal;
  });
  EXPECT_EQ(error("/v1/embeddings", body("query"), 429)["code"], "queue_full");
}

TEST_F(VectorEdge, RequestsAreCountedAndLogged) {
  gateway::EdgeOptions options;
  const auto log = options.log;
  start(std::move(options));
  (void)post_json("/v1/embeddings", body({"query", "near"}));
  const Answer metrics = HttpClient(port()).call("GET", "/metrics");
  EXPECT_NE(metrics.body.find(R"(troupe_gateway_requests_total{outcome="2xx",route="embeddings"} 1)"),
            std::string::npos);
  EXPECT_NE(metrics.body.find("troupe_gateway_prompt_tokens_total 9"), std::string::npos);
  std::uint64_t change = 0;
  const auto rows = log->changed_since(change, 10);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].prompt_tokens, 9u);
  EXPECT_EQ(rows[0].status, 200);
}

}  // namespace
}  // namespace troupe::test
